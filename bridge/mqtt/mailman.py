"""What cameras are told: commands, again until their reply, and acknowledgements of photos and of sleep."""

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.messages import Ack, AckState, Command, Presence
from aperture.contract.topics import Topics
from aperture.hints import Hints
from aperture.store import cameras, mailbox, photos
from aperture.store.database import Database
from aperture.store.mailbox import Stored
from bridge.mqtt.link import Link

log = structlog.get_logger(__name__)


class Mailman:
    """Delivers what waits in the store."""

    def __init__(self, *, database: Database, link: Link, topics: Topics, hints: Hints, resend_after_ms: int) -> None:
        """Ask for the same photo's bytes at most once in `resend_after_ms`."""
        self._database = database
        self._link = link
        self._topics = topics
        self._hints = hints
        self._resend_after_ms = resend_after_ms

    async def deliver(self, camera: str) -> None:
        """Send a camera everything that it has not answered, oldest first, and ask for the photos that it owes."""
        now = now_ms()
        waiting = await self._database.aread(
            lambda connection: mailbox.waiting(connection, camera=camera, now_ms=now),
        )
        await self._send(waiting)
        await self.ask_again(camera)

    async def deliver_new(self) -> None:
        """Send the commands that were never sent to those cameras that listen."""
        now = now_ms()

        def work(connection: Connection) -> list[Stored]:
            unsent = mailbox.unsent(connection, now_ms=now)
            awake = {name for name in {one.camera for one in unsent} if _listens(connection, name)}
            return [one for one in unsent if one.camera in awake]

        await self._send(await self._database.aread(work))

    async def ask_again(self, camera: str) -> None:
        """Ask a camera for the bytes of photos that are missing or suspect; each only so often, and not for ever."""
        now = now_ms()

        def due(connection: Connection) -> list[str]:
            return photos.wanting(connection, camera=camera, asked_before_ms=now - self._resend_after_ms)

        for photo in await self._database.aread(due):
            if await self.acknowledge(camera, photo, AckState.RESEND):
                await self._database.awrite(
                    lambda connection, photo=photo: photos.resend_asked(connection, photo=photo, now_ms=now)
                )

    async def acknowledge(self, camera: str, photo: str, state: AckState) -> bool:
        """Tell a camera how far its photo is; return whether the broker has it."""
        return await self._ack(camera, Ack(now_ms=now_ms(), photo=photo, state=state))

    async def tell_stored(self, camera: str, photo: str) -> None:
        """Tell a camera that its photo is durable, once the manifest is, too.

        Whoever hears of its photo takes it as announced, and lets go of it: an upload alone must not say so, for the
        manifest may be lost on its way. It is answered when it comes.
        """
        if await self._database.aread(lambda connection: photos.is_announced(connection, photo)):
            await self.acknowledge(camera, photo, AckState.STORED)

    async def let_sleep(self, camera: str, nonce: int | None) -> None:
        """Answer a camera's wish to sleep."""
        await self._ack(camera, Ack(now_ms=now_ms(), sleep_ok=True, nonce=nonce))

    async def _ack(self, camera: str, ack: Ack) -> bool:
        return await self._link.publish(self._topics.of(camera, "ack"), ack.encode())

    async def _send(self, commands: list[Stored]) -> None:
        handed: list[str] = []
        for one in commands:
            body = await self._body(one)
            if body is not None and await self._link.publish(self._topics.of(one.camera, "command"), body):
                handed.append(one.id)
        if handed:
            await self._database.awrite(lambda connection: _sent(connection, handed))
            self._hints.wake()

    async def _body(self, one: Stored) -> bytes | None:
        """Return what is sent; a command that can't be put into words is cancelled, so that others are not held up."""
        now = now_ms()
        try:
            return Command(id=one.id, do=one.do, args=one.args, expires_at_ms=one.expires_at_ms, now_ms=now).encode()
        except ValueError:
            log.exception("a command can't be put into words: it is cancelled", camera=one.camera, command=one.id)
            await self._database.awrite(lambda connection: mailbox.cancel(connection, command=one.id, now_ms=now))
            return None


def _listens(connection: Connection, camera: str) -> bool:
    known = cameras.get(connection, camera)
    return known is not None and not known.revoked and known.presence is Presence.ONLINE


def _sent(connection: Connection, commands: list[str]) -> None:
    for command in commands:
        mailbox.sent(connection, command=command, now_ms=now_ms())
