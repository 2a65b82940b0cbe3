"""The webhook of the settings as a place to post to: what is known of it, its lanes and its poster."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.hints import Hints
from aperture.settings import DiscordSettings
from aperture.store import outbox
from aperture.store.database import Database
from bridge.discord.client import WebhookClient
from bridge.discord.limiter import CHANNEL_WINDOW_MS, Limiter, Pause, PauseKind
from bridge.discord.outcomes import Found
from bridge.discord.webhook import Webhook, parse_webhook_url
from bridge.outbox.lanes import Lane, Lanes
from bridge.outbox.poster import PARKED_ADVICE, Job, Poster
from bridge.tuning import Tuning, pause

log = structlog.get_logger(__name__)


class Destination:
    """Where photos go. `target` is its name in the rows."""

    def __init__(
        self, *, webhook: Webhook, settings: DiscordSettings, database: Database, hints: Hints, tuning: Tuning
    ) -> None:
        """Nothing is opened before `open`."""
        self._webhook = webhook
        self._database = database
        self._hints = hints
        self._tuning = tuning
        self._limiter = Limiter(channel_per_minute=settings.channel_per_minute)
        self._warming: asyncio.Task[None] | None = None
        self._called_at = float("-inf")
        self._client = WebhookClient(limiter=self._limiter, api_base=settings.api_base)
        secret = f"{webhook.id}/{webhook.token.get_secret_value()}"
        self._fingerprint = hashlib.sha256(secret.encode()).hexdigest()
        self.target = webhook.target
        self._poster = Poster(
            client=self._client, webhook=webhook, fingerprint=self._fingerprint, database=database, tuning=tuning
        )
        self._lanes = Lanes(
            limiter=self._limiter,
            webhook_id=webhook.id,
            thread_id=webhook.thread_id,
            channel_per_minute=settings.channel_per_minute,
            tuning=tuning,
        )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Take up what was left, and connect; at the end, give what is on its way a bounded time to finish."""
        reason = await self._database.awrite(self._take_up)
        self._poster.parked = reason is not None
        if reason is not None:
            log.error("webhook is parked", target=self.target, reason=reason, what_to_do=PARKED_ADVICE)
        async with self._client:
            self.warm()
            try:
                yield
            finally:
                self._poster.stopping = True
                if self._warming is not None:
                    self._warming.cancel()
                    await asyncio.gather(self._warming, return_exceptions=True)
                await self._lanes.settle(self._tuning.finish_s)

    def warm(self) -> None:
        """Open the connection that the next photo will use, if it may have been closed for idleness."""
        now = time.monotonic()
        busy = self._warming is not None and not self._warming.done()
        if not busy and not self._poster.parked and now - self._called_at >= self._tuning.cool_s:
            self._called_at = now
            self._warming = asyncio.create_task(self._look(), name="bridge warm")

    def open_lanes(self) -> list[Lane]:
        """Return the lanes in which a delivery may be claimed now, most urgent first."""
        return [] if self._poster.parked else self._lanes.open_lanes()

    def opens_in_s(self) -> float:
        """Return when to look again at the latest, for time alone may open a lane."""
        return self._tuning.poll_s if self._poster.parked else min(self._tuning.poll_s, self._lanes.opens_in_s())

    def start(self, lane: Lane, job: Job) -> None:
        """Make a claimed attempt now."""
        self._called_at = time.monotonic()
        task = asyncio.create_task(self._attempt(lane, job), name=f"bridge post {job.claim.photo}")
        self._lanes.enter(lane, task)

    async def _attempt(self, lane: Lane, job: Job) -> None:
        try:
            outcome = await self._poster.attempt(job)
            if outcome is not None and self._lanes.learn(lane, outcome):
                await self._poster.release(self.target)
        except Exception:  # a task's error would be seen by nobody
            log.exception("an attempt broke off", photo=job.claim.photo)
            await self._poster.broke_off(job)
        finally:
            self._hints.wake()

    def _take_up(self, connection: Connection) -> str | None:
        """Take up what the last process left; return why it is parked, if it is."""
        now, target = now_ms(), self.target
        left = outbox.open_destination(connection, target=target, fingerprint=self._fingerprint, now_ms=now)
        for one in cast("list[dict[str, Any]]", left.pauses or []):
            self._limiter.restore([Pause(PauseKind(one["kind"]), one["key"], one["until_ms"])])
        for sent_at_ms in outbox.recent_sends(connection, target=target, since_ms=now - CHANNEL_WINDOW_MS):
            self._limiter.replay(self._lanes.post_route, sent_at_ms)
        first_ms = self._tuning.retry_first_ms
        retry_at_ms = now + round(pause(1, first=first_ms, most=first_ms))
        unsure = outbox.recover(connection, target=target, retry_at_ms=retry_at_ms, now_ms=now)
        if unsure:
            log.warning("photos were on their way when the server stopped: sending them again", photos=unsure)
        return left.parked_reason

    async def _look(self) -> None:
        outcome = await self._poster.look(self.target)
        if isinstance(outcome, Found) and outcome.channel_id is not None:
            self._limiter.learn_channel(self._lanes.post_route, outcome.channel_id)


def configured(*, settings: DiscordSettings, database: Database, hints: Hints, tuning: Tuning) -> Destination | None:
    """Return the destination of the settings, None when no webhook is set.

    Raises:
        WebhookUrlError: the setting is no webhook's URL.
    """
    if settings.webhook_url is None:
        return None
    webhook = parse_webhook_url(settings.webhook_url, api_base=settings.api_base)
    return Destination(webhook=webhook, settings=settings, database=database, hints=hints, tuning=tuning)
