"""`aperture flash PORT --camera NAME --board BOARD`, from the first look at the port to the camera's `online`."""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aperture.contract.ids import check_name
from aperture.settings import BrokerKind, FtpTls, Settings
from aperture.store.cameras import Camera
from cli import output
from cli.errors import CommandLineError
from cli.flash import account, boards, diagnosis, files, online, plan, wifi
from cli.flash.account import Server, Standing
from cli.flash.boards import Board
from cli.flash.display import Display
from cli.flash.errors import CableError, FlashError
from cli.flash.files import Firmware
from cli.flash.plan import TEMPORARY, Plan
from cli.flash.survey import Survey
from cli.flash.writer import Writer
from cli.place import Place

_TRIES: Final = 3
_FTP_S: Final = 5.0
_LOOK_S: Final = 0.1
_LOOPBACK: Final = ("127.", "localhost", "::1")


async def flash(options: argparse.Namespace, settings: Settings) -> int:
    """Flash a camera and wait until it is online."""
    display = Display(json=options.json)
    check_name(options.camera)
    board = boards.load(options.board)
    with Place(settings) as place, tempfile.TemporaryDirectory(prefix="aperture-flash-") as work:
        server = _server(place, options.host)
        alone = _alone(place)
        if alone and not server.ftp_host.startswith(_LOOPBACK):
            display.say(
                f"Note      the server listens at {alone}, this machine alone: set mqtt.host and ftp.host, unless "
                "something passes on to it"
            )
        if not (options.no_wait or options.dry_run):
            online.check_server(place)
        writer = Writer(port=options.port, board=board, display=display, work=Path(work))
        try:
            return await _Job(options, place, board, server, display, writer, Path(work)).run()
        except asyncio.CancelledError:
            await writer.let_go()
            raise FlashError("stopped. Run the same command again: it goes on where this one ended") from None
        except Exception:
            await writer.let_go()
            raise


@dataclass(slots=True)
class _Job:
    """One camera's flashing."""

    options: argparse.Namespace
    place: Place
    board: Board
    server: Server
    display: Display
    writer: Writer
    work: Path

    async def run(self) -> int:
        found = await self.writer.meet()
        self.display.say(f"Board     {found.machine}, MicroPython {found.release}")
        standing = account.look(self.place, self.options.camera, found.secrets)
        self.display.say(f"Camera    {standing.name}: {standing.words}")
        self._say_who_it_was(found)
        network = None if self.options.dry_run else self._wifi(found)
        firmware = await asyncio.to_thread(self._make, found)
        if self.options.dry_run:
            return await self._dry_run(plan.make(firmware, found))
        done = await self._put(found, firmware, standing, network)
        return await self._start(done)

    async def _put(self, found: Survey, firmware: Firmware, standing: Standing, network: object) -> Plan:
        """Put everything on the board. One that restarts in the middle is met again; a camera gets a token once.

        Raises:
            FlashError: it does not work; the board has what it had before.
        """
        secrets: dict[str, Any] | None = None
        tries = 0
        try:
            while True:
                tries += 1
                try:
                    todo = plan.make(firmware, found)
                    await self.writer.write(todo)
                    secrets = secrets or await asyncio.to_thread(self._secrets, standing, network, found)
                    await self.writer.finish(todo, secrets, found)
                except CableError:
                    if tries == _TRIES:
                        raise
                    found = await self.writer.meet_again()
                else:
                    return todo
        except CableError as error:
            void = secrets is not None and standing.is_rotated
            raise CableError(f"{error}{', but its old token is void already' if void else ''}") from None

    def _say_who_it_was(self, found: Survey) -> None:
        before = (found.secrets or {}).get("camera")
        if before not in {None, self.options.camera}:
            waiting = f"; {found.photos} photos that wait on it will be {self.options.camera}'s" if found.photos else ""
            self.display.say(f"          this board was the camera {before!r} until now{waiting}")

    def _wifi(self, found: Survey) -> object:
        return wifi.choose(
            self.place.settings.data_dir,
            ssid=self.options.wifi,
            password_file=self.options.wifi_password_file,
            on_board=(found.secrets or {}).get("wifi"),
            say=self.display.say,
        )

    def _make(self, found: Survey) -> Firmware:
        ca = account.authority(self.place.settings.data_dir, self.server) if self.server.tls else None
        return files.make(self.board, work=self.work, compiled=files.can_compile(found.mpy), ca=ca)

    def _secrets(self, standing: Standing, network: object, found: Survey) -> dict[str, Any]:
        token, update_key = account.settle(self.place, standing)
        return account.secrets(
            name=standing.name,
            token=token,
            update_key=update_key,
            board=self.board.name,
            wifi=network,
            country=self.options.country,
            server=self.server,
            on_board=found.secrets,
        )

    async def _start(self, done: Plan) -> int:
        """Reset the camera and, unless nobody wants to wait, hear whether it comes online."""
        watch = await asyncio.to_thread(online.Watch.start, self.place, self.options.camera)
        await self.writer.reset()
        if self.options.no_wait:
            self.display.say(f"Reset     it starts. See it come: aperture camera show {self.options.camera}")
            self._emit(done, None)
            return 0
        self.display.say("Reset     it starts")
        since = time.monotonic()
        with online.log_of(self.options.port, self._tell_stage) as log:
            camera = await watch.online(self.options.timeout)
            trouble = await self._ftp(log) if camera else None
        if camera is None:
            found = diagnosis.read(log.lines)
            raise FlashError(
                f"{self.options.camera} is flashed, but not online within {self.options.timeout:g} s: {found.words}"
            )
        self.display.say(f"Online    {self.options.camera}, after {time.monotonic() - since:.0f} s{_telemetry(camera)}")
        if trouble:
            self.display.say(f"          but {trouble}")
        self._emit(done, camera)
        return 0

    async def _ftp(self, log: online.SerialLog) -> str | None:
        """Give FTP a moment more than MQTT took; return what is wrong with it, if anything is known to be."""
        for _ in range(int(_FTP_S / _LOOK_S)):
            if diagnosis.ftp(log.lines) is not None:
                break
            await asyncio.sleep(_LOOK_S)
        return diagnosis.ftp(log.lines)

    def _tell_stage(self, line: str) -> None:
        words = diagnosis.milestone(line)
        if words:
            self.display.say(f"          {words}")

    async def _dry_run(self, todo: Plan) -> int:
        for path in todo.remove + todo.clean:
            self.display.say(f"  would remove  {path}")
        for file, path in todo.copy:
            self.display.say(f"  would copy    {path.removesuffix(TEMPORARY)}, {file.size:,} bytes")
        self.display.say(f"  would leave   {todo.unchanged} files that are there already")
        self.writer.copied = [path.removesuffix(TEMPORARY) for _, path in todo.copy]
        self.writer.removed = todo.remove + todo.clean
        await self.writer.reset()
        self._emit(todo, None)
        return 0

    def _emit(self, done: Plan, camera: Camera | None) -> None:
        if self.options.json:
            waited = not (self.options.no_wait or self.options.dry_run)
            output.emit(
                {
                    "camera": self.options.camera,
                    "board": self.board.name,
                    "port": self.options.port,
                    "dry_run": self.options.dry_run,
                    "slot": done.slot,
                    "copied": self.writer.copied,
                    "removed": self.writer.removed,
                    "unchanged": done.unchanged,
                    "online": camera is not None if waited else None,
                    "status": camera.status if camera else None,
                }
            )


def _server(place: Place, host: str | None) -> Server:
    """Return where the camera is to find its server.

    Raises:
        CommandLineError: a camera can't reach it there.
    """
    settings, mqtt, ftp = place.settings, place.mqtt(), place.ftp()
    external = settings.mqtt.broker is BrokerKind.EXTERNAL
    found = Server(
        host=mqtt["host"] if external or not host else host,
        mqtt_port=mqtt.get("tls_port") or mqtt["port"],
        mqtt_tls="tls_port" in mqtt,
        ftp_host=host or ftp["host"],
        ftp_port=ftp["port"],
        ftp_tls=settings.ftp.tls is not FtpTls.OFF,
        root=settings.mqtt.root,
    )
    for address in (found.host, found.ftp_host):
        if host is None and address.startswith(_LOOPBACK):
            raise CommandLineError(
                f"the server listens at {address}, which is this machine alone: a camera can't reach it. Have it "
                "listen on the network (mqtt.host and ftp.host, see aperture config show), or give --host ADDRESS"
            )
    if not (found.mqtt_port and found.ftp_port):
        raise CommandLineError("the server's ports are chosen when it starts (port 0): start it first, or set them")
    return found


def _alone(place: Place) -> str:
    """Return the address of this machine alone at which a camera's server listens, or nothing."""
    external = place.settings.mqtt.broker is BrokerKind.EXTERNAL
    listeners = (place.ftp()["host"], *([] if external else [place.mqtt()["host"]]))
    return next((host for host in listeners if host.startswith(_LOOPBACK)), "")


def _telemetry(camera: Camera) -> str:
    status = camera.status or {}
    facts = [
        f"{status['rssi_dbm']} dBm" if status.get("rssi_dbm") is not None else "",
        f"sensor {status['sensor']}" if status.get("sensor") else "no sensor answers",
        "" if status.get("sd_free_kb") is None else f"{status['sd_free_kb'] // 1024:,} MiB free on the card",
        "" if status.get("battery_pct") is None else f"battery {status['battery_pct']} %",
    ]
    return "".join(f", {fact}" for fact in facts if fact) if status else ""
