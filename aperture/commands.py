"""What can be asked of a camera: one core for HTTP, MQTT requests, and whatever asks next.

A command is kept in the store before anyone sends it; the bridge sends it, again whenever the camera comes online,
until its reply. Everyone may make and read commands; only the bridge marks them sent and answered.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from aperture import bundles
from aperture.contract.camera_settings import check_config
from aperture.contract.ids import ContractError, new_command_id
from aperture.contract.messages import MAX_DURATION_MS, Do, Presence
from aperture.hints import Hints
from aperture.store import accounts, cameras, mailbox
from aperture.store.cameras import Camera
from aperture.store.database import Database
from aperture.store.errors import NotFoundError
from aperture.store.mailbox import CommandState, Stored

DEFAULT_TTL_MS = {
    Do.SHUTTER: 30_000,
    Do.IDENTIFY: 30_000,
    Do.SLEEP: 60_000,
    Do.REBOOT: 60_000,
    Do.RESEND: 86_400_000,
    Do.CONFIGURE: 7 * 86_400_000,
    Do.UPDATE: 7 * 86_400_000,
}
"""How long each command stays worth doing. A picture that was wanted now is not wanted at the next wake-up."""

WAKE_MARGIN_MS = 30_000
"""How long after its expected wake a camera may take to be heard."""

UNKNOWN_WAKE_MS = 86_400_000
"""How long a command waits at least for a camera that sleeps until somebody presses its button."""


class CommandRefusedError(Exception):
    """The root of what this module raises: the command was not made, and nothing is queued."""


class ArgumentsRejectedError(ContractError):
    """A command's arguments are not what it takes; nothing is queued."""


class CameraAsleepError(CommandRefusedError):
    """The camera sleeps past the time in which the command is worth anything. `next_wake_at_ms` may be None."""

    def __init__(self, camera: str, next_wake_at_ms: int | None) -> None:
        """Tell who sleeps until when."""
        super().__init__(f"{camera} is asleep: press its shutter, or ask without `wait` to queue it for its next wake")
        self.next_wake_at_ms = next_wake_at_ms


class Commands:
    """Makes, shows and cancels commands."""

    def __init__(self, *, database: Database, hints: Hints, firmware_dir: Path | None = None) -> None:
        """Use a store; `hints` tells the bridge at once where it lives in this process.

        Bundles are looked for in `firmware_dir`, where there is such a folder on this machine.
        """
        self._database = database
        self._hints = hints
        self._firmware_dir = firmware_dir

    async def make(
        self,
        *,
        camera: str,
        do: Do,
        origin: str,
        now_ms: int,
        args: dict[str, Any] | None = None,
        ttl_ms: int | None = None,
        awake_within_ms: int | None = None,
    ) -> Stored:
        """Queue a command and return it.

        Args:
            camera: the camera's name.
            do: what is asked.
            origin: who asks, for example `http` or `mqtt`.
            now_ms: the time.
            args: what the command takes, for example `{"photo": id}` for `resend`, or `{"bundle": name}` for
                `update`, without which it is the newest.
            ttl_ms: how long it is worth doing; by default `DEFAULT_TTL_MS`, and for a sleeping camera until
                after its next wake, or for a day where nobody knows when that is.
            awake_within_ms: refuse when the camera sleeps past this.

        Raises:
            NotFoundError: there is no such camera or bundle, or it can't take commands (FTP only).
            ArgumentsRejectedError: the command takes no such arguments.
            SettingsRejectedError: a setting of `configure` can't be, as far as the camera told what it has.
            CameraAsleepError: see `awake_within_ms`.
            CommandRefusedError: the bundle is not for this camera, or the camera could not check it.
        """

        def work(connection: Connection) -> Stored:
            known = _commandable(connection, camera)
            _check_awake(known, now_ms, awake_within_ms)
            wanted = args or {}
            if do is Do.UPDATE:
                wanted = self._update(connection, known, wanted)
            if do is Do.CONFIGURE:
                status = known.status or {}
                check_config(wanted, sensor=status.get("sensor"), told=status.get("settings"))
            command = _new(known, do, wanted, origin=origin, now_ms=now_ms, ttl_ms=ttl_ms)
            mailbox.put(connection, command)
            if do is Do.CONFIGURE:
                cameras.set_config(connection, camera=camera, config={**(known.config or {}), **wanted})
            return command

        command = await self._database.awrite(work)
        self._hints.wake()
        return command

    def _update(self, connection: Connection, camera: Camera, args: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of an `update`, with the newest bundle where none is named."""
        if set(args) - {"bundle"}:
            raise ArgumentsRejectedError("update takes nothing but `bundle`")
        name = args.get("bundle")
        if name is not None and not (isinstance(name, str) and bundles.is_name(name)):
            raise ArgumentsRejectedError("bundle: the name of a bundle, as `aperture firmware list` shows it")
        if accounts.update_key(connection, camera.name) is None:
            raise CommandRefusedError(
                f"{camera.name} has no update key: `aperture camera rotate {camera.name}`, then flash it again"
            )
        if self._firmware_dir is not None and self._firmware_dir.is_dir():
            name = _bundle_for(camera, self._firmware_dir, name)
        return {} if name is None else {"bundle": name}

    async def get(self, command: str) -> Stored:
        """Return one command.

        Raises:
            NotFoundError: there is none of that id.
        """
        known = await self._database.aread(lambda connection: mailbox.get(connection, command))
        if known is None:
            raise NotFoundError("there is no such command")
        return known

    async def cancel(self, command: str, *, now_ms: int) -> Stored:
        """End a command that was not sent yet and return it; one that was sent, or has ended, is returned as it is.

        Raises:
            NotFoundError: there is none of that id.
        """
        await self._database.awrite(lambda connection: mailbox.cancel(connection, command=command, now_ms=now_ms))
        return await self.get(command)


def _commandable(connection: Connection, camera: str) -> Camera:
    known = cameras.get(connection, camera)
    if known is None or known.revoked:
        raise NotFoundError(f"there is no camera {camera!r}")
    if known.ftp_only:
        raise NotFoundError(f"{camera!r} only uploads by FTP: it takes no commands")
    return known


def _bundle_for(camera: Camera, firmware_dir: Path, name: str | None) -> str:
    found = [bundles.find(firmware_dir, name)] if name else bundles.every(firmware_dir)[:1]
    if not found or found[0] is None:
        missing = f"there is no bundle {name!r}" if name else "there is no bundle yet"
        raise NotFoundError(f"{missing}: `aperture firmware build` makes one, `aperture firmware list` shows them")
    board, boards = (camera.status or {}).get("board"), found[0].manifest.boards
    if board and boards and board not in boards:
        raise CommandRefusedError(f"{found[0].name} is for {', '.join(boards)}, and {camera.name} is a {board}")
    return found[0].name


def _check_awake(camera: Camera, now_ms: int, within_ms: int | None) -> None:
    if within_ms is None or camera.presence is not Presence.ASLEEP:
        return
    wake = camera.next_wake_at_ms
    if wake is None or wake > now_ms + within_ms:
        raise CameraAsleepError(camera.name, wake)


def _new(camera: Camera, do: Do, args: dict[str, Any], *, origin: str, now_ms: int, ttl_ms: int | None) -> Stored:
    asleep = camera.presence is Presence.ASLEEP
    wake = _next_wake(camera, now_ms) if asleep else None
    expires_at_ms = now_ms + (ttl_ms or DEFAULT_TTL_MS[do])
    if ttl_ms is None and asleep:
        heard_at_ms = now_ms + UNKNOWN_WAKE_MS if wake is None else wake + WAKE_MARGIN_MS
        expires_at_ms = max(expires_at_ms, heard_at_ms)
    return Stored(
        id=new_command_id(),
        camera=camera.name,
        do=do,
        args=args,
        origin=origin,
        state=CommandState.QUEUED,
        created_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
        expected_at_ms=wake if wake is not None else _expected(camera, now_ms),
        sent_at_ms=None,
        answered_at_ms=None,
        error=None,
        detail=None,
        photo=None,
    )


def _next_wake(camera: Camera, now_ms: int) -> int | None:
    """Return when it wakes by itself; a row that says longer than any camera can say is not believed."""
    wake = camera.next_wake_at_ms
    return None if wake is None or wake > now_ms + MAX_DURATION_MS else wake


def _expected(camera: Camera, now_ms: int) -> int | None:
    return now_ms if camera.presence is Presence.ONLINE else None
