"""mpremote, the tool of MicroPython's makers, as a program that this one runs: it moves the bytes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cli.flash.errors import CableError, FlashError, FlashFullError
from cli.flash.parcels import DAMAGED

_SILENCE_S: Final = 30.0  # much longer than any one parcel takes
_TAIL: Final = 20
_CUT_OFF: Final = (
    "failed to access",
    "could not enter raw repl",
    "could not exec command",
    "could not complete raw paste",
    "unexpected read during raw paste",
    "timeout waiting for",
    "SerialException",
    "Input/output error",
    "Bad file descriptor",
    "No such device",
    "unpack requires a buffer",
    DAMAGED,
)
_RESTARTED: Final = "rst:0x"  # a chip's first words; mpremote would wait for ever for the end of what ran before
_FULL: Final = ("ENOSPC", "OSError: 28", "No space left")


class Remote:
    """mpremote on one port. `on_line` of each call gets what it prints, line by line."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._fresh = True

    async def run(self, *commands: Sequence[str], on_line: Callable[[str], None] = lambda _: None) -> str:
        """Run commands of mpremote in one go, and return what they printed.

        The first call restarts MicroPython without its /main.py, so that nothing else runs on the board.

        Raises:
            CableError: the board went away, or says nothing any more.
            FlashFullError: the flash is full.
            FlashError: the board refused; with its words.
        """
        words = ["connect", self._port]
        words += [] if self._fresh else ["resume"]
        for command in commands:
            words += ["+", *command] if words[-1] not in {self._port, "resume"} else command
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mpremote",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            start_new_session=True,  # Ctrl-C reaches us alone: we end it
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            lines = await self._lines(process, on_line)
            status = await process.wait()
        finally:
            await _end(process)
        if status != 0:
            raise self._failure(lines)
        self._fresh = False
        return "".join(lines)

    async def _lines(self, process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> list[str]:
        lines: list[str] = []
        stdout = process.stdout
        if stdout is None:
            return lines
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S):
                    line = await stdout.readline()
                if not line:
                    return lines
                lines.append(line.decode(errors="replace"))
                if lines[-1].startswith(_RESTARTED):
                    raise CableError(f"the board on {self._port} restarted")
                on_line(lines[-1].rstrip())
        except TimeoutError:
            raise CableError(f"the board on {self._port} says nothing any more") from None

    def _failure(self, lines: list[str]) -> FlashError:
        said = "".join(lines[-_TAIL:])
        if any(words in said for words in _FULL):
            return FlashFullError("the board's flash is full")
        if not Path(self._port).exists() or any(words in said for words in _CUT_OFF):
            return CableError(f"the board on {self._port} was cut off")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        return FlashError(f"the board refused: {last.removeprefix('mpremote: ')}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it when it still runs; it may be in the middle of a write, which the next run makes good."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    await process.wait()
