"""`aperture simulate --cable PORT`: a bare board on a serial port, for trying `aperture flash` without hardware."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aperture.settings import Settings
from cli import runfile
from cli.console import converse
from cli.errors import CommandLineError
from cli.up import program, stop_signal

if TYPE_CHECKING:
    from simulator.serial_board import SerialBoard

_NAME: Final = "board"
_CUT_S: Final = 1.0


async def run(port: Path, settings: Settings) -> int:
    """Keep a board plugged in until Ctrl-C; what was flashed on it is there the next time."""
    from simulator.errors import SimulatorError  # noqa: PLC0415 - MicroPython is an extra
    from simulator.serial_board import SerialBoard  # noqa: PLC0415

    folder = settings.data_dir / "simulated" / "cable"
    try:
        async with SerialBoard(folder=folder, port=_free(port)) as board:
            host = runfile.local(settings.mqtt.host)
            print(
                f"A board with MicroPython on it is on {port}; its Wi-Fi is called `simulated`. Flash it:\n\n"
                f"  {program()} flash {port} --camera NAME --board sim --host {host} --wifi simulated\n\n"
                "Enter presses its shutter, `help` lists what else can be done, Ctrl-C ends it.",
                flush=True,
            )
            console = asyncio.create_task(converse(_Console(board), until_end=False))
            stopped = asyncio.create_task(stop_signal())
            await asyncio.wait({console, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for task in (console, stopped):
                task.cancel()
            await asyncio.gather(console, stopped, return_exceptions=True)
    except SimulatorError as error:
        raise CommandLineError(str(error)) from error
    return 0


def _free(port: Path) -> Path:
    if port.exists() and not port.is_symlink():
        raise CommandLineError(f"{port} is there already: name a port that is not")
    return port.absolute()


class _Console:
    """What can be done to a board by hand. What it says comes over its cable, not here."""

    name = _NAME

    def __init__(self, board: "SerialBoard") -> None:
        self._board = board

    async def answer(self, line: str) -> list[str]:
        """Do what a line says, and return what there is to tell."""
        from simulator.console import WORDS, check, usage  # noqa: PLC0415
        from simulator.screen import draw_text  # noqa: PLC0415

        match line.split() or ["press"]:
            case ["help"]:
                words = [word for word in WORDS if word.name != "status"]
                return ["cable out|in  pull its cable, or plug it in", *usage(words)]
            case ["cable", "out"]:
                self._board.unplug()
            case ["cable", "in"]:
                self._board.plug()
            case ["press", *_]:
                await self._board.press()
            case ["power", "off" | "on" | "cut" as how]:
                await self._power(how)
            case ["screen", *how]:
                return draw_text(self._board.pixels, wide=bool(how)) if self._board.pixels else ["it is dark"]
            case words:
                complaint = check(words, ["cable"])
                if complaint:
                    return [complaint]
                await self._board.say(" ".join(words))
        return []

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Nobody is told anything."""
        del hear
        return lambda: None

    async def _power(self, how: str) -> None:
        if how != "on":
            await self._board.power_off()
        if how == "cut":
            await asyncio.sleep(_CUT_S)
        if how != "off":
            self._board.power_on()
