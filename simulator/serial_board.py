"""A board on a cable: MicroPython's unix port behind a serial port that mpremote opens as it would an ESP32's.

It comes as from the shop with MicroPython's image on it: nothing else is on its flash, and `aperture flash` has all to
do. Ctrl-C, the raw prompt, soft and hard resets and deep sleep are as on the chip; the cable can be pulled and the
power cut. What runs on it has the same simulated hardware as a virtual camera (`hardware/`).
"""

import asyncio
import contextlib
import os
import pty
import signal
import tty
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from simulator.available import micropython
from simulator.bench import Bench
from simulator.camera import HARDWARE
from simulator.libraries import default_cache, ensure_libraries
from simulator.scene import DrawnScene
from simulator.uart import Uart

_DEEP_SLEEP, _RESET = 75, 76  # exit codes, see hardware/bench.py
_HEAP: Final = "heapsize=8M"
_CHUNK: Final = 4096


class SerialBoard:
    """One board with its files below `folder`: `flash`, `card`. While it is plugged in, `port` is its serial port.

    `hardware` is what is simulated; a copy without `camera.py` is an image without the camera's driver. `flash_kb`
    makes its flash a littlefs of that size in the file `flash.bin`, instead of a folder.
    """

    def __init__(
        self, *, folder: Path, port: Path, cache: Path | None = None, hardware: Path = HARDWARE, flash_kb: int = 0
    ) -> None:
        self.folder, self.port = folder, port
        self._hardware, self._flash_kb = hardware, flash_kb
        self._cache = cache or default_cache()
        self._uart = Uart(to_chip=self._write_to_chip, to_host=self._write_to_host, interrupt=self._interrupt)
        self._host: tuple[int, int] | None = None  # both ends of the cable, ours and the port's
        self._chip = -1  # our end of the chip's own wires
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._bitten = False
        self._open = AsyncExitStack()

    @property
    def flash(self) -> Path:
        """Where its files are: a folder, or a file with a file system."""
        return self.folder / ("flash.bin" if self._flash_kb else "flash")

    async def __aenter__(self) -> Self:
        """Plug it in and give it power.

        Raises:
            NotAvailableError: this machine has no MicroPython.
            LibraryError: a MicroPython library could not be fetched.
        """
        micropython()
        self._libraries = await asyncio.to_thread(ensure_libraries, self._cache)
        for part in ("flash", "card", "state", "taken"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if self._flash_kb:
            self.flash.touch()
            os.truncate(self.flash, self._flash_kb * 1024)
        scene = DrawnScene(self.folder.name)
        self._bench = await self._open.enter_async_context(
            Bench(scene=scene, taken=self.folder / "taken", oled_png=self.folder / "oled.png", bite=self._bite)
        )
        self.plug()
        self.power_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Unplug it and switch it off."""
        await self.power_off()
        self.unplug()
        await self._open.aclose()

    def plug(self) -> None:
        """Plug the cable in: the port appears."""
        if self._host is not None:
            return
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self._host = ours, theirs  # held open, or the port would hang up whenever nobody has it open
        asyncio.get_running_loop().add_reader(ours, self._read_from_host)
        beside = self.port.with_name(self.port.name + ".new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.ttyname(theirs))
        beside.replace(self.port)

    def unplug(self) -> None:
        """Pull the cable: who has the port open is cut off. The board goes on, as one with a battery."""
        if self._host is None:
            return
        self.port.unlink(missing_ok=True)
        asyncio.get_running_loop().remove_reader(self._host[0])
        for end in self._host:
            os.close(end)
        self._host = None

    def power_on(self) -> None:
        """Give it power, after `power_off`; what its clock knew is gone."""
        if self._supervisor is None:
            (self.folder / "state" / "rtc.json").unlink(missing_ok=True)
            self._supervisor = asyncio.create_task(self._supervise(), name=f"board {self.folder.name}")

    async def power_off(self) -> None:
        """Cut its power, at once."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None

    async def press(self) -> None:
        """Press its shutter; asleep, that wakes it."""
        self._woken.set()
        await self._bench.send("press 80")

    @property
    def pixels(self) -> bytes:
        """What its display shows."""
        return self._bench.pixels

    async def say(self, line: str) -> None:
        """Tell its surroundings something, as a virtual camera's: "wifi down"."""
        await self._bench.send(line)

    async def _supervise(self) -> None:
        """Run it, again and again, as the chip's resets would."""
        main, cause, reason = True, "power_on", ""
        while True:
            self._uart.start(typed_stays=not main)
            code = await self._run(cause, reason, main=main)
            main, cause, reason = True, "watchdog" if self._bitten else "hard", ""
            if code == _DEEP_SLEEP:
                cause, reason = "deepsleep", await self._sleep()
            elif self._bitten:
                self._bitten = False
            elif code == -signal.SIGINT:  # Ctrl-C, when /main.py had just ended by itself
                main = False
            elif code != _RESET:  # the end of MicroPython's prompt: a soft reset
                cause, main = "soft", not self._uart.soft_reset()

    async def _sleep(self) -> str:
        sleep_ms = int((self.folder / "state" / "sleep.json").read_text())
        self._woken.clear()
        try:
            async with asyncio.timeout(sleep_ms / 1000 if sleep_ms else None):
                await self._woken.wait()
        except TimeoutError:
            return "timer"
        return "press"

    async def _run(self, cause: str, reason: str, *, main: bool) -> int:
        """Run MicroPython once, and return its exit code."""
        state = self.folder / "state"
        paths = (self.flash, self._hardware, self._libraries, state)
        self._chip, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(self._chip, False)
        loop = asyncio.get_running_loop()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *micropython("-X", _HEAP, str(self._hardware / "chip_on.py")),
                *(str(path.resolve()) for path in paths),
                str(self._flash_kb),
                "main" if main else "prompt",
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,  # Ctrl-C is for who runs it
                env={
                    "PATH": os.defpath,
                    "MICROPYPATH": f"{self._hardware}:.frozen",
                    "APERTURE_BENCH": str(self._bench.path),
                    "APERTURE_CARD": str((self.folder / "card").resolve()),
                    "APERTURE_RESET_CAUSE": cause,
                    "APERTURE_WAKE_REASON": reason,
                },
            )
            os.close(theirs)
            loop.add_reader(self._chip, self._read_from_chip)
            try:
                return await process.wait()
            finally:
                await _kill(process)
                self._read_from_chip()
        finally:
            loop.remove_reader(self._chip)
            os.close(self._chip)
            self._chip = -1  # the number is soon another file's
            self._uart.stop()

    def _interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def _bite(self) -> None:
        """Its watchdog was not fed."""
        self._bitten = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _read_from_chip(self) -> None:
        while data := _read(self._chip):
            self._uart.from_chip(data)
        # At the end of the process the terminal hangs up, which would wake the loop again and again.
        if data is None:
            asyncio.get_running_loop().remove_reader(self._chip)

    def _read_from_host(self) -> None:
        if self._host is not None and (data := _read(self._host[0])):
            self._uart.from_host(data)

    def _write_to_chip(self, data: bytes) -> None:
        _write(self._chip, data)

    def _write_to_host(self, data: bytes) -> None:
        if self._host is not None:
            _write(self._host[0], data)


def _read(end: int) -> bytes | None:
    """Return what there is: b"" when there is nothing, None when the other end is closed."""
    try:
        return os.read(end, _CHUNK) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None


def _write(end: int, data: bytes) -> None:
    """Write what fits: nobody may be reading, and a UART has no brake either."""
    with contextlib.suppress(OSError):
        os.write(end, data)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
