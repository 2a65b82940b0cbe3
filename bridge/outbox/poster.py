"""One attempt to post or edit, and what becomes of the delivery: written down before the next attempt is made."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.messages import PhotoRecord
from aperture.store import outbox
from aperture.store.database import Database
from aperture.store.errors import StoreError
from aperture.store.outbox import Claim
from bridge.discord.client import File, Message, WebhookClient
from bridge.discord.outcomes import (
    Deleted,
    Outcome,
    Parked,
    Posted,
    RateLimited,
    Rejected,
    Scope,
    Unknown,
    Unreachable,
)
from bridge.discord.render import photo_filename, render_photos
from bridge.discord.webhook import Webhook
from bridge.outbox.shrink import shrink
from bridge.tuning import Tuning, pause

log = structlog.get_logger(__name__)

T = TypeVar("T")

_STORE_RETRY_S = 1.0
PARKED_ADVICE = (
    "Discord refuses the webhook for good, so it is not called again. Nothing is lost: photos wait. Make a new webhook "
    "in Discord (channel settings, Integrations), set APERTURE_DISCORD__WEBHOOK_URL to its URL, and restart"
)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery with all that its attempt needs. `data` is None where the message shows it already."""

    claim: Claim
    record: PhotoRecord
    data: bytes | None
    problem: str | None = None
    """Why the bytes can't be read now."""

    @property
    def shows_new_bytes(self) -> bool:
        """Whether the photo itself must be uploaded: always, but for an edit of a message that shows it already."""
        return self.claim.message_id is None or self.claim.shown_sha256 != self.record.sha256


class Poster:
    """Makes attempts at one webhook."""

    def __init__(
        self, *, client: WebhookClient, webhook: Webhook, fingerprint: str, database: Database, tuning: Tuning
    ) -> None:
        """The client is open, and its limiter is this webhook's."""
        self._client = client
        self._webhook = webhook
        self._fingerprint = fingerprint
        self._database = database
        self._tuning = tuning
        self.parked = False
        self.stopping = False
        self._unreadable_said = False
        self._failed_edits: dict[int, int] = {}

    async def look(self, target: str) -> Outcome:
        """See whether the webhook takes us, which opens the connection that the next photo will use."""
        outcome = await self._client.look(self._webhook)
        if isinstance(outcome, Parked):
            await self._park(target, outcome)
        return outcome

    async def release(self, target: str) -> None:
        """Let everything that pauses go now."""
        await self._write(lambda connection: outbox.release(connection, target=target, now_ms=now_ms()))

    async def attempt(self, job: Job) -> Outcome | None:
        """Post (or edit) one photo and write down what came of it; None when Discord was not asked."""
        if job.shows_new_bytes and job.data is None:
            await self._unreadable(job)
            return None
        self._unreadable_said = self._unreadable_said and job.data is None
        outcome = await self._call(job, job.data)
        if isinstance(outcome, Rejected) and outcome.is_too_large and job.data and not self.stopping:
            job, outcome = await self._call_smaller(job, job.data, outcome)
        await self._settle(job, outcome)
        return outcome

    async def broke_off(self, job: Job) -> None:
        """Let a delivery try again whose attempt ended in nobody knows what."""
        await self._again_later(job.claim, "the attempt broke off", uncertain=True)

    async def _call(self, job: Job, data: bytes | None, *, shrunk_from: int | None = None) -> Outcome:
        try:
            message = _message(job, data, shrunk_from=shrunk_from)
            if job.claim.message_id is None:
                return await self._client.post(self._webhook, message)
            return await self._client.edit(self._webhook, job.claim.message_id, message)
        except Exception as error:  # whatever it was, the delivery must not be left as one that is being sent
            log.exception("an attempt broke off", photo=job.claim.photo)
            return Unknown(f"the attempt broke off: {type(error).__name__}")

    async def _call_smaller(self, job: Job, data: bytes, refused: Rejected) -> tuple[Job, Outcome]:
        smaller = await asyncio.to_thread(shrink, data)
        if smaller is None:
            return job, refused
        log.info("photo shrunk for discord", photo=job.claim.photo, bytes=len(data), sent_bytes=len(smaller))
        if job.claim.message_id is None:
            claim = await self._write(
                lambda connection: outbox.attempt_again(connection, claim=job.claim, now_ms=now_ms())
            )
            job = replace(job, claim=claim)
        return job, await self._call(job, smaller, shrunk_from=len(data))

    async def _settle(self, job: Job, outcome: Outcome) -> None:
        claim = job.claim
        match outcome:
            case Posted():
                await self._posted(job, outcome)
            case Deleted() if claim.message_id is not None:
                await self._done_editing(job, error="the message was deleted in Discord")
            case RateLimited():
                await self._wait(claim, outcome)
            case Parked():
                await self._park(claim.target, outcome)
                await self._postpone(claim, outcome.reason, not_before_ms=0)
            case Rejected():
                await self._rejected(job, outcome)
            case Unknown(reason=reason):
                await self._again_later(claim, reason, uncertain=True)
            case Unreachable(reason=reason):
                await self._postpone(claim, reason, not_before_ms=0)
            case _:
                await self._again_later(claim, "Discord gave an answer to another question")

    async def _unreadable(self, job: Job) -> None:
        if not self._unreadable_said:  # once until one can be read: a folder that is not mounted holds them all
            self._unreadable_said = True
            log.error("photos can't be read: trying until they can", photo=job.claim.photo, error=job.problem)
        await self._again_later(job.claim, job.problem)

    async def _again_later(self, claim: Claim, error: str | None, *, uncertain: bool = False) -> None:
        """Postpone by a pause that grows with failures of this kind alone, not with those of an outage before."""
        if claim.message_id is not None:
            failures = self._failed_edits[claim.id] = self._failed_edits.get(claim.id, 0) + 1
        else:
            failures = claim.uncertain + 1 if uncertain else claim.attempts
        pause_ms = pause(failures, first=self._tuning.retry_first_ms, most=self._tuning.retry_most_ms)
        await self._postpone(claim, error, not_before_ms=now_ms() + round(pause_ms), uncertain=uncertain)

    async def _posted(self, job: Job, outcome: Posted) -> None:
        claim, record, at_ms = job.claim, job.record, now_ms()
        if claim.message_id is not None:
            await self._done_editing(job, error=None)
            return
        await self._write(
            lambda connection: outbox.posted(
                connection,
                claim=claim,
                camera=record.camera,
                message_id=outcome.message_id,
                sha256=record.sha256,
                now_ms=at_ms,
            )
        )
        log.info("photo posted", camera=record.camera, photo=claim.photo, attempts=claim.attempts)

    async def _done_editing(self, job: Job, *, error: str | None) -> None:
        self._failed_edits.pop(job.claim.id, None)
        sha256 = job.record.sha256 if error is None else None
        await self._write(
            lambda connection: outbox.edited(connection, claim=job.claim, sha256=sha256, error=error, now_ms=now_ms())
        )

    async def _rejected(self, job: Job, outcome: Rejected) -> None:
        log.error("discord does not take the photo", photo=job.claim.photo, error=outcome.error)
        if job.claim.message_id is not None:
            await self._done_editing(job, error=outcome.error)
            return
        await self._write(
            lambda connection: outbox.set_aside(connection, claim=job.claim, error=outcome.error, now_ms=now_ms())
        )

    async def _postpone(self, claim: Claim, error: str | None, *, not_before_ms: int, uncertain: bool = False) -> None:
        await self._write(
            lambda connection: outbox.postpone(
                connection,
                claim=claim,
                not_before_ms=not_before_ms,
                error=error,
                uncertain=uncertain,
                now_ms=now_ms(),
            )
        )

    async def _park(self, target: str, outcome: Parked) -> None:
        self.parked = True
        log.error("webhook parked", target=target, reason=outcome.reason, what_to_do=PARKED_ADVICE)
        await self._write(
            lambda connection: outbox.park(
                connection, target=target, fingerprint=self._fingerprint, reason=outcome.reason, now_ms=now_ms()
            )
        )

    async def _wait(self, claim: Claim, outcome: RateLimited) -> None:
        words = None if outcome.scope is Scope.OURS else "Discord said wait"
        pauses = [asdict(one) for one in self._client.limiter.pauses()]

        def work(connection: Connection) -> None:
            outbox.save_pauses(connection, target=claim.target, pauses=pauses or None)
            outbox.postpone(connection, claim=claim, not_before_ms=0, error=words, uncertain=False, now_ms=now_ms())

        await self._write(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        """Write an outcome down, however long the disk takes: forgetting one would post a photo twice."""
        failures = 0
        while True:
            try:
                return await self._database.awrite(work)
            except StoreError as error:
                failures += 1
                if failures == 1:
                    log.warning("an outcome can't be written down: trying until it can", error=str(error))
                await asyncio.sleep(_STORE_RETRY_S)


def _message(job: Job, data: bytes | None, *, shrunk_from: int | None = None) -> Message:
    payload = render_photos([job.record], again=job.claim.uncertain > 0)
    if shrunk_from is not None and data is not None:
        words = f"{len(data) / 1e6:.1f} MB instead of {shrunk_from / 1e6:.1f} MB; the archive has it whole"
        payload["embeds"][0]["fields"].append({"name": "Shrunk to fit Discord", "value": words, "inline": True})
    if not job.shows_new_bytes or data is None:
        del payload["attachments"]  # what an edit does not name stays
        return Message(payload)
    return Message(payload, (File(photo_filename(job.record), data),))
