"""A virtual camera: the firmware's own files on MicroPython, in a process that can be pressed, cut off and woken."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from enum import Enum
from pathlib import Path
from typing import Final, Self

import structlog

from simulator.available import micropython
from simulator.bench import Bench
from simulator.firmware import SLOTS, device_files, digest_of
from simulator.libraries import default_cache, ensure_libraries
from simulator.names import Names
from simulator.scene import DrawnScene, FolderScene

log = structlog.get_logger(__name__)

_HERE: Final = Path(__file__).parent
HARDWARE: Final = _HERE / "hardware"

_DEEP_SLEEP, _RESET = 75, 76  # exit codes, see hardware/bench.py
_HEAP: Final = "heapsize=8M"  # the PSRAM of a camera board
_STOP_S: Final = 3.0
_MOST_PAUSE_S: Final = 30.0
_HEALTHY_S: Final = 30.0
WITHOUT_POWER: Final = "[without power]"
BITTEN: Final = "[its watchdog resets it]"
_RUNS: Final = "I camera board="
_LEVELS: Final = {"I": "info", "W": "warning", "E": "error"}


class Power(Enum):
    """Where a virtual camera is."""

    OFF = "off"
    ON = "on"
    ASLEEP = "asleep"


class VirtualCamera:
    """One camera with its files below `folder`: `flash`, `card`, and `taken`, the frames as its sensor gave them.

    `frames` is a folder of JPEGs that it sees by name, over and over; without one it sees a drawn scene. `oled_png`
    is kept up to date with its display. `update_key` is what `camera add` issued with the token. `host` is where both
    MQTT and FTP are served. `enter` goes before its command line, as `nsenter` does (see `radio`); `keep` is how many
    frames stay in `taken`. With `ca`, a certificate in DER, the links named in `tls` use TLS. `names` are addresses
    of hosts that only this camera knows; `secrets` is what its `secrets.json` has besides, or instead.
    """

    def __init__(
        self,
        *,
        name: str,
        token: str,
        update_key: str | None = None,
        host: str,
        mqtt_port: int,
        ftp_port: int,
        folder: Path,
        root: str = "aperture",
        frames: Path | None = None,
        oled_png: Path | None = None,
        cache: Path | None = None,
        enter: Sequence[str] = (),
        keep: int = 64,
        ca: Path | None = None,
        tls: Collection[str] = ("mqtt", "ftp"),
        names: Mapping[str, str] | None = None,
        secrets: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.power = Power.OFF
        self._secrets: dict[str, object] = {
            "camera": name,
            "token": token,
            **({"update_key": update_key} if update_key else {}),
            "root": root,
            "board": "sim",
            "wifi": {"ssid": "simulated", "password": ""},
            "mqtt": {"host": host, "port": mqtt_port, "tls": ca is not None and "mqtt" in tls},
            "ftp": {"host": host, "port": ftp_port, "tls": ca is not None and "ftp" in tls},
            **(secrets or {}),
        }
        self._ca = ca
        self._names = Names({} if names is None else names)
        self._bitten = False
        self._frames, self._oled_png = frames, oled_png
        self._cache = cache or default_cache()
        self._enter, self._keep = enter, keep
        self._log = log.bind(camera=name)
        self._ears: list[Callable[[str], None]] = []
        self._woken = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._open = AsyncExitStack()

    @property
    def taken(self) -> Path:
        """Where the last frames lie, as its sensor gave them, by number."""
        return self.folder / "taken"

    @property
    def waiting(self) -> int:
        """How many photos lie in it that are not handed over yet."""
        return len(self._waiting())

    def waiting_ids(self) -> list[str]:
        """Return the ids of these photos."""
        return [str(json.loads(path.with_suffix(".txt").read_text())["photo"]) for path in self._waiting()]

    def _waiting(self) -> list[Path]:
        return waiting_photos(self.folder / "card") + waiting_photos(self.folder / "flash")

    async def __aenter__(self) -> Self:
        """Flash it and give it power.

        Raises:
            NotAvailableError: this machine has no MicroPython.
            LibraryError: a MicroPython library could not be fetched.
            FramesError: the folder of frames is empty.
        """
        micropython()
        self._libraries = await asyncio.to_thread(ensure_libraries, self._cache)
        await asyncio.to_thread(self._flash)
        scene = FolderScene(self._frames) if self._frames else DrawnScene(self.name)
        self._bench = await self._open.enter_async_context(
            Bench(scene=scene, taken=self.taken, oled_png=self._oled_png, keep=self._keep, bite=self._bite)
        )
        await self._open.enter_async_context(self._names)
        await self.power_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Switch it off."""
        await self.stop()

    def _flash(self) -> None:
        """Lay the firmware's files on its flash when they are others than last time, and keep what it wrote itself.

        So a virtual camera that was updated over the network stays so, until there is newer firmware to flash.
        """
        flash = self.folder / "flash"
        for part in (flash, self.folder / "card", self.folder / "state", self.taken):
            part.mkdir(parents=True, exist_ok=True)
        files = device_files()
        mark, digest = self.folder / "state" / "flashed", digest_of(files)
        if not (flash / "main.py").exists() or not mark.exists() or mark.read_text() != digest:
            for slot in SLOTS:
                shutil.rmtree(flash / slot, ignore_errors=True)
            for place, source in files.items():
                target = flash / place.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            mark.write_text(digest)
        if self._ca is not None:
            shutil.copyfile(self._ca, flash / "ca.der")
        secrets = flash / "secrets.json"
        secrets.touch(mode=0o600)
        secrets.write_text(json.dumps(self._secrets))

    async def power_on(self) -> None:
        """Give it power after a start or a `kill`; what its RTC knew is gone."""
        if self._supervisor is not None and not self._supervisor.done():
            return
        (self.folder / "state" / "rtc.json").unlink(missing_ok=True)
        self._supervisor = asyncio.create_task(self._supervise(), name=f"virtual camera {self.name}")

    async def press(self, *, held_ms: int = 80) -> None:
        """Press its shutter; asleep, that wakes it; without power, it does nothing."""
        if self.power is Power.ASLEEP:
            self._woken.set()
        elif self._supervisor is not None:
            await self._bench.send(f"press {held_ms}")

    async def say(self, line: str) -> None:
        """Tell its hardware something: "wifi down", "wifi up", "battery 3400" (`console` lists them all)."""
        await self._bench.send(line)

    @property
    def surroundings(self) -> dict[str, str]:
        """What was said to its hardware, and holds until something else is said."""
        return self._bench.world

    @property
    def has_power(self) -> bool:
        """Whether it runs, sleeps, or is about to start."""
        return self._supervisor is not None

    @property
    def hangs(self) -> bool:
        """Whether its firmware was told to hang, and still does."""
        return self._bench.hangs

    @property
    def bites_in_s(self) -> float | None:
        """When its watchdog resets it, unless it is fed before; None where none watches."""
        return self._bench.bites_in_s

    @property
    def pixels(self) -> bytes:
        """The memory of its display; empty before it has drawn."""
        return self._bench.pixels

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Have `hear` called with each line that it says, and with what becomes of it; return what ends that."""
        self._ears.append(hear)
        return lambda: self._ears.remove(hear)

    def _tell(self, line: str) -> None:
        for hear in list(self._ears):
            hear(line)

    async def kill(self) -> None:
        """Cut its power, at once. `power_on` brings it back."""
        await self._end(kill=True)

    async def stop(self) -> None:
        """Switch it off and clean up."""
        await self._end(kill=False)
        await self._open.aclose()

    async def _end(self, *, kill: bool) -> None:
        if self._supervisor is None:
            return
        if kill and self._process is not None:
            _signal(self._process, signal.SIGKILL)
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        self._supervisor = None
        self.power = Power.OFF
        self._tell(WITHOUT_POWER)

    async def _supervise(self) -> None:
        """Run it, again and again, as the chip's resets would."""
        cause, reason, pause_s = "power_on", "", 1.0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await self._run(cause, reason)
            cause, reason = "soft", ""
            if code == _DEEP_SLEEP:
                cause, reason = "deepsleep", await self._sleep()
            elif self._bitten:
                self._bitten, cause = False, "watchdog"
            elif code != _RESET:
                pause_s = 1.0 if loop.time() - started > _HEALTHY_S else min(pause_s * 2, _MOST_PAUSE_S)
                self._log.warning("virtual camera ended", code=code, again_in_s=pause_s)
                self._tell(f"[it ended with code {code}, and starts again]")
                cause = "hard"
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter

    def _bite(self) -> None:
        """Its watchdog was not fed."""
        if self._process is not None:
            self._log.warning("watchdog bites")
            self._tell(BITTEN)
            self._bitten = True
            _signal(self._process, signal.SIGKILL)

    async def _sleep(self) -> str:
        """Wait for what ends its deep sleep, and return it."""
        self.power = Power.ASLEEP
        self._tell("[asleep]")
        sleep_ms = int((self.folder / "state" / "sleep.json").read_text())
        try:
            async with asyncio.timeout(sleep_ms / 1000 if sleep_ms else None):
                await self._woken.wait()
        except TimeoutError:
            self._tell("[woken by its timer]")
            return "timer"
        finally:
            self._woken.clear()
        self._tell("[woken by the shutter]")
        return "press"

    async def _run(self, cause: str, reason: str) -> int:
        """Run MicroPython once, and return its exit code."""
        state = self.folder / "state"
        command = micropython("-X", _HEAP, str(HARDWARE / "power_on.py"))
        paths = (self.folder / "flash", HARDWARE, self._libraries, state)
        process = self._process = await asyncio.create_subprocess_exec(
            *self._enter,
            *command,
            *(str(path.resolve()) for path in paths),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for who runs it
            env={
                "PATH": os.defpath,
                "MICROPYPATH": f"{HARDWARE}:.frozen",
                "APERTURE_BENCH": str(self._bench.path),
                "APERTURE_CARD": str((self.folder / "card").resolve()),
                "APERTURE_RESET_CAUSE": cause,
                "APERTURE_WAKE_REASON": reason,
                "APERTURE_DNS": str(self._names.port),
            },
        )
        self.power = Power.ON
        self._tell("[starting]")
        try:
            await self._relay(process)
            return await process.wait()
        finally:
            self.power = Power.OFF
            await self._finish(process)

    async def _finish(self, process: asyncio.subprocess.Process) -> None:
        _signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            _signal(process, signal.SIGKILL)
            await process.wait()

    async def _relay(self, process: asyncio.subprocess.Process) -> None:
        """Turn the lines of its serial console into log events."""
        stdout = process.stdout
        if stdout is None:
            return
        while line := await stdout.readline():
            text = line.decode(errors="replace").rstrip()
            level, _, rest = text.partition(" ")
            self._tell(rest if level == "I" else text)
            if text.startswith(_RUNS):
                self._tell("[ready]")
            speak = getattr(self._log, _LEVELS.get(level, "info"))
            speak("camera says", line=rest if level in _LEVELS else text)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal. `Process.kill` first looks for the end of a process, and takes it from asyncio's own watcher."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def waiting_photos(medium: Path) -> list[Path]:
    """Return the pictures on a card or flash that are not handed over yet; the camera may be at work on it."""
    waiting: list[Path] = []
    for folder, _, names in os.walk(medium / "photos"):
        there = set(names)
        facts = (Path(name) for name in names if name.endswith(".txt"))
        waiting += [Path(folder, f"{one.stem}.jpg") for one in facts if f"{one.stem}.ok" not in there]
    return sorted(waiting)
