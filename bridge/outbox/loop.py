"""From an event to a post: the loop that fans events out, claims what may go and sends it.

One transaction reads the new events, makes their deliveries and writes the first attempt down; the post follows at once
on a connection that is warm. All else (acknowledgements, records, the posted row) comes after.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.links import Links
from aperture.hints import Hints
from aperture.settings import DiscordSettings
from aperture.store import events, gallery, outbox
from aperture.store.blobs import Blobs, read_intact
from aperture.store.database import Database
from aperture.store.errors import NotFoundError, StoreError
from aperture.store.events import Kind
from aperture.store.outbox import Claim
from bridge.outbox.destination import Destination, configured
from bridge.outbox.lanes import Lane
from bridge.outbox.poster import Job
from bridge.tenure import Tenure
from bridge.tuning import Backoff, Tuning

log = structlog.get_logger(__name__)

_NEWS_AFTER_POST_S = 0.05
_BATCH = 500
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class _Round:
    """What one transaction found: events up to the last one, whether bytes will follow, claims in their lanes."""

    events: int
    last_event: int
    announced: bool
    claims: list[tuple[Lane, Job]]


class Outbox:
    """Posts photos to the webhook of the settings; without one it only keeps count of what it need not post."""

    def __init__(
        self,
        *,
        settings: DiscordSettings,
        database: Database,
        blobs: Blobs,
        hints: Hints,
        tenure: Tenure,
        links: Links,
        tuning: Tuning,
        on_news: Callable[[], None],
    ) -> None:
        """Call `on_news` after events were read, once the posts that they ask for are on their way.

        Raises:
            WebhookUrlError: the setting is no webhook's URL.
        """
        self._make = lambda: configured(settings=settings, database=database, hints=hints, tuning=tuning)
        self._make()  # what is wrong with the setting is wrong now, not once the lease is held
        self._database = database
        self._blobs = blobs
        self._hints = hints
        self._tenure = tenure
        self._links = links
        self._tuning = tuning
        self._on_news = on_news
        self._cursor = 0
        self._busy = False
        self._destination: Destination | None = None

    async def run(self, ready: asyncio.Event) -> None:
        """Post until cancelled; then give what is on its way a bounded time to finish."""
        self._destination = self._make()
        self._cursor = await self._database.aread(lambda connection: events.cursor(connection, outbox.CURSOR))
        async with AsyncExitStack() as stack:
            thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="bridge-outbox"))
            if self._destination is None:
                log.info("no webhook is set: photos are kept, and posted nowhere")
            else:
                await stack.enter_async_context(self._destination.open())
            ready.set()
            await self._loop(thread)

    async def _loop(self, thread: ThreadPoolExecutor) -> None:
        backoff = Backoff(first=1.0, most=30.0)
        hinted = True
        with self._hints.listen() as hints:
            while True:
                try:
                    if hinted or self._busy or await self._has_news():
                        await self._round(thread)
                    backoff.reset()
                except StoreError as error:
                    rest_s = backoff.next()
                    if backoff.failures == 1:
                        log.warning("the outbox can't read its rows: trying until it can", error=str(error))
                    await asyncio.sleep(rest_s)
                hinted = await hints.wait(self._wait_s())

    async def _round(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        lanes = self._destination.open_lanes() if self._destination else []
        found = await loop.run_in_executor(thread, self._take, lanes)
        self._cursor = found.last_event
        self._busy = found.events == _BATCH
        for lane, job in found.claims:
            if self._destination is not None:
                self._destination.start(lane, job)
        if found.announced and self._destination is not None:
            self._destination.warm()
        if found.claims:
            loop.call_later(_NEWS_AFTER_POST_S, self._on_news)
        elif found.events:
            self._on_news()

    def _take(self, lanes: list[Lane]) -> _Round:
        """Do all that needs a thread, in one go: the rows, then the bytes."""
        found = self._database.write(lambda connection: self._rows(connection, lanes))
        return replace(found, claims=[(lane, self._load(job)) for lane, job in found.claims])

    def _rows(self, connection: Connection, lanes: list[Lane]) -> _Round:
        target, now = self._destination.target if self._destination else None, now_ms()
        read = outbox.fan_out(connection, target=target, after=self._cursor, now_ms=now, limit=_BATCH)
        claims: list[tuple[Lane, Job]] = []
        for lane in lanes:
            if claims:
                break  # the limiter allowed one, and the most urgent has it; another round comes with its end
            job = self._claim(connection, lane, target or "", now)
            if job is not None:
                claims.append((lane, job))
        announced = any(event.kind == Kind.PHOTO_ANNOUNCED for event in read)
        return _Round(len(read), read[-1].id if read else self._cursor, announced, claims)

    def _claim(self, connection: Connection, lane: Lane, target: str, now: int) -> Job | None:
        while True:
            claim = self._claim_row(connection, lane, target, now)
            if claim is None:
                return None
            try:
                return Job(claim, gallery.record_alone(connection, claim.photo, links=self._links), None)
            except NotFoundError:
                _give_up(connection, claim, now, "the photo was deleted")
            except ValueError as error:
                log.exception("a photo can't be told of: it is set aside", photo=claim.photo)
                _give_up(connection, claim, now, f"its record can't be made: {error}"[:_MOST_WORDS])

    def _claim_row(self, connection: Connection, lane: Lane, target: str, now: int) -> Claim | None:
        live_ms, lease = now - self._tuning.live_ms, self._tenure.lease
        match lane:
            case Lane.LIVE:
                return outbox.claim(connection, target=target, lease=lease, now_ms=now, taken_from_ms=live_ms)
            case Lane.BACKLOG:
                return outbox.claim(connection, target=target, lease=lease, now_ms=now, taken_before_ms=live_ms)
            case Lane.EDIT:
                return outbox.claim_edit(connection, target=target, now_ms=now)

    def _load(self, job: Job) -> Job:
        if not job.shows_new_bytes:
            return job
        try:
            record = job.record
            return replace(job, data=read_intact(self._blobs, record.camera, record.id, record.sha256))
        except StoreError as error:  # not there, too: whoever deletes a photo says so in its row
            return replace(job, problem=str(error))

    async def _has_news(self) -> bool:
        at, after = self._destination, self._cursor  # the loop's own: looked at here, not in the reader's thread
        target = at.target if at is not None and at.open_lanes() else None

        def work(connection: Connection) -> bool:
            if events.last_id(connection) > after:
                return True
            return target is not None and outbox.is_due(connection, target=target, now_ms=now_ms())

        return await self._database.aread(work)

    def _wait_s(self) -> float:
        if self._busy:
            return 0.0
        return self._tuning.poll_s if self._destination is None else self._destination.opens_in_s()


def _give_up(connection: Connection, claim: Claim, now: int, reason: str) -> None:
    """Let go of a delivery that nothing can be made of."""
    if claim.message_id is None:
        outbox.set_aside(connection, claim=claim, error=reason, now_ms=now)
    else:
        outbox.edited(connection, claim=claim, sha256=None, error=reason, now_ms=now)
