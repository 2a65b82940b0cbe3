"""What cameras and operators say, checked at the edge and taken to the rows, one message at a time and in order.

Nothing here can be made to fail by what is said: what doesn't fit the contract, or comes from nobody we know, is
dropped with a bounded complaint, and a camera says again whatever was not acknowledged.
"""

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.commands import CommandRefusedError, Commands
from aperture.contract.ids import ContractError
from aperture.contract.messages import AckState, Manifest, Presence, Reply, Request, Sleep, SleepPhase, Status
from aperture.contract.topics import FROM_CAMERA, RETAINED, Topics
from aperture.hints import Hints
from aperture.store import cameras, mailbox, photos
from aperture.store.database import Database
from aperture.store.errors import StoreError
from aperture.store.photos import State
from bridge.mqtt.complaints import Complaints
from bridge.mqtt.link import Heard
from bridge.mqtt.mailman import Mailman
from bridge.mqtt.showcase import Showcase

T = TypeVar("T")

log = structlog.get_logger(__name__)

_MAX_BODY = 16 * 1024
_MAY_BE_RETAINED = {*FROM_CAMERA} & {*RETAINED}


class StrangerError(ContractError):
    """The message's camera is unknown, revoked, or speaks only FTP."""


class RevokedError(StrangerError):
    """It was one of ours."""


class Inbound:
    """Takes messages."""

    def __init__(
        self,
        *,
        database: Database,
        commands: Commands,
        hints: Hints,
        mailman: Mailman,
        showcase: Showcase,
        topics: Topics,
    ) -> None:
        """Answers go through `mailman`; `showcase` clears what a revoked camera left with the broker."""
        self._database = database
        self._commands = commands
        self._hints = hints
        self._mailman = mailman
        self._showcase = showcase
        self._topics = topics
        self._complaints = Complaints()

    async def take(self, heard: Heard) -> None:
        """Take one message; never raises for what it says."""
        if heard.topic == self._topics.server_status:  # our own: `+/status` matches it too
            return
        at = self._topics.parse(heard.topic)
        if at is None:
            self._complaints.about("strange topics", heard.topic)
            return
        source = f"{at.camera}/{at.kind}"
        if heard.retained and at.kind not in _MAY_BE_RETAINED:
            self._complaints.about(source, "retained: nobody knows when it was said")
            return
        if len(heard.body) > _MAX_BODY:
            self._complaints.about(source, f"{len(heard.body)} bytes are too many")
            return
        try:
            await self._dispatch(at.camera, at.kind, heard)
        except RevokedError as error:
            if at.kind in RETAINED:  # its last will, or what was left while nobody served
                await self._showcase.forget(at.camera)
            if not heard.retained:
                self._complaints.about(source, str(error))
        except (ContractError, CommandRefusedError, StoreError) as error:
            self._complaints.about(source, str(error))
        except Exception as error:  # noqa: BLE001 - whatever one message does, the next is heard
            self._complaints.broke(source, error)

    async def _dispatch(self, camera: str, kind: str, heard: Heard) -> None:
        match kind:
            case "presence" if heard.body:
                await self._presence(camera, Presence.decode(heard.body))
            case "status" if heard.body:
                await self._status(camera, Status.decode(heard.body))
            case "shutter":
                await self._shutter(camera, Manifest.decode(heard.body))
            case "sleep":
                await self._sleep(camera, Sleep.decode(heard.body))
            case "reply":
                await self._reply(camera, Reply.decode(heard.body))
            case "request":
                await self._request(camera, Request.decode(heard.body))
            case _:  # an empty retained message only clears the topic
                return

    async def _presence(self, camera: str, presence: Presence) -> None:
        await self._write(
            camera,
            lambda connection: cameras.set_presence(connection, camera=camera, presence=presence, now_ms=now_ms()),
        )
        if presence is Presence.ONLINE:
            await self._mailman.deliver(camera)

    async def _status(self, camera: str, status: Status) -> None:
        await self._write(
            camera, lambda connection: cameras.set_status(connection, camera=camera, status=status, now_ms=now_ms())
        )

    async def _shutter(self, camera: str, manifest: Manifest) -> None:
        def work(connection: Connection) -> AckState:
            now = now_ms()
            state = photos.announce(connection, camera=camera, manifest=manifest, now_ms=now)
            mailbox.photographed(connection, camera=camera, manifest=manifest)
            if state is State.SUSPECT:
                photos.resend_asked(connection, photo=manifest.photo, now_ms=now)
            return _ANSWERS[state]

        answer = await self._write(camera, work)
        await self._mailman.acknowledge(camera, manifest.photo, answer)

    async def _sleep(self, camera: str, sleep: Sleep) -> None:
        if sleep.phase is SleepPhase.INTENT:
            await self._write(camera, lambda _connection: None)
            await self._mailman.deliver(camera)
            await self._mailman.let_sleep(camera, sleep.nonce)
            return

        def work(connection: Connection) -> None:
            now = now_ms()
            wake = None if sleep.next_wake_ms is None else now + sleep.next_wake_ms
            cameras.set_next_wake(connection, camera=camera, at_ms=wake)
            cameras.set_presence(connection, camera=camera, presence=Presence.ASLEEP, now_ms=now, next_wake_at_ms=wake)

        await self._write(camera, work)

    async def _reply(self, camera: str, reply: Reply) -> None:
        await self._write(
            camera, lambda connection: mailbox.answer(connection, camera=camera, reply=reply, now_ms=now_ms())
        )

    async def _request(self, camera: str, request: Request) -> None:
        command = await self._commands.make(
            camera=camera, do=request.do, args=request.args, ttl_ms=request.ttl_ms, origin="mqtt", now_ms=now_ms()
        )
        log.info("command requested over MQTT", camera=camera, command=command.id, do=request.do)

    async def _write(self, camera: str, work: Callable[[Connection], T]) -> T:
        """Run `work` if the camera is one of ours, and wake who waits for the rows."""

        def checked(connection: Connection) -> T:
            known = cameras.get(connection, camera)
            if known is not None and known.revoked:
                raise RevokedError("this camera is revoked")
            if known is None or known.ftp_only:
                raise StrangerError("no camera of ours speaks here")
            return work(connection)

        done = await self._database.awrite(checked)
        self._hints.wake()
        return done


_ANSWERS = {
    State.ANNOUNCED: AckState.ANNOUNCED,
    State.MISSING: AckState.RESEND,
    State.STORED: AckState.STORED,
    State.SUSPECT: AckState.RESEND,
}
