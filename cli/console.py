"""A virtual camera's console on a terminal: what is typed is done, what the camera says is shown in between."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from simulator.control import Talk

_ENDS: Final = {"quit", "exit"}
_PROMPT: Final = "> "
_READ_BYTES: Final = 4096


async def converse(talk: Talk, *, until_end: bool) -> None:
    """Do what is typed until `quit`, or with `until_end` until the end of the input as well."""
    screen = _Screen()
    unlisten = talk.listen(lambda line: screen.show(f"{talk.name}: {line}"))
    try:
        screen.prompt()
        async for line in typed_lines():
            if line.strip() in _ENDS:
                return
            screen.show(*await talk.answer(line))
        if not until_end:  # no terminal, or nobody there any more: the camera goes on
            await asyncio.Event().wait()
    finally:
        unlisten()


class _Screen:
    """Standard output, where a prompt stands in the last line of a terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdin.isatty() and sys.stdout.isatty()

    def show(self, *lines: str) -> None:
        """Print lines above the prompt."""
        if self._is_terminal:
            sys.stdout.write("\r\x1b[K")
        for line in lines:
            print(line)
        self.prompt()

    def prompt(self) -> None:
        """Invite the next line."""
        if self._is_terminal:
            sys.stdout.write(_PROMPT)
        sys.stdout.flush()


async def typed_lines() -> AsyncGenerator[str]:
    """Yield the lines of standard input, whatever that is, without keeping anything else waiting."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    rest = b""

    def read() -> None:
        nonlocal rest
        data = os.read(0, _READ_BYTES)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            lines.put_nowait(line.decode(errors="replace"))
        if not data:
            loop.remove_reader(0)
            lines.put_nowait(None)

    try:
        loop.add_reader(0, read)
    except (OSError, ValueError):  # a file, which is always ready, or nothing at all
        with suppress(OSError):
            for line in os.read(0, 1 << 20).decode(errors="replace").splitlines():
                yield line
        return
    try:
        while (line := await lines.get()) is not None:
            yield line
    finally:
        loop.remove_reader(0)
