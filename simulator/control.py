"""A virtual camera's console for another process of the same user: a socket, `control`, in the camera's folder.

A line of JSON each: {"line": what was typed} goes in, {"answer": [line, …]} comes back, and {"said": line} in between.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from simulator.errors import GoneError

log = structlog.get_logger(__name__)

_NAME: Final = "control"
_MOST_BEHIND: Final = 65_536


class Talk(Protocol):
    """A console, here or in another process."""

    @property
    def name(self) -> str:
        """The camera's name."""
        ...

    async def answer(self, line: str) -> list[str]:
        """Do what a line says, and return what there is to tell."""
        ...

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Have `hear` called with each line that the camera says; return what ends that."""
        ...


@asynccontextmanager
async def serve(console: Talk, folder: Path) -> AsyncGenerator[None]:
    """Let other processes of this user use a console."""
    writers: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await _talk(console, reader, writer)
        except (OSError, ValueError) as error:
            log.warning("console connection failed", camera=console.name, error=repr(error))
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_unix_server(talk, sock=_bind(folder))
    try:
        yield
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
        await server.wait_closed()
        (folder / _NAME).unlink(missing_ok=True)


async def _talk(console: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def say(**message: Any) -> None:
        if writer.transport.get_write_buffer_size() < _MOST_BEHIND:  # who doesn't read misses lines
            writer.write(json.dumps(message).encode() + b"\n")

    unlisten = console.listen(lambda line: say(said=line))
    try:
        while line := await reader.readline():
            say(answer=await console.answer(str(json.loads(line)["line"])))
            await writer.drain()
    finally:
        unlisten()


def _bind(folder: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), 0o600)  # before it has a name: nobody else ever finds it open
        (folder / _NAME).unlink(missing_ok=True)  # left by a process that was killed
        with _short(folder) as path:
            sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _short(folder: Path) -> Generator[str]:
    """Yield a short name for the socket in a folder: the address of a Unix domain socket has 108 bytes at most."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{_NAME}"
    finally:
        os.close(handle)


class Remote:
    """The console of a camera that runs in another process; `attached` makes one."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self._reader, self._writer = reader, writer
        self._ears: list[Callable[[str], None]] = []
        self._answers: asyncio.Queue[list[str] | None] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def answer(self, line: str) -> list[str]:
        """Have a line done there.

        Raises:
            GoneError: that process has ended.
        """
        if not self.gone.is_set():
            with contextlib.suppress(OSError):
                self._writer.write(json.dumps({"line": line}).encode() + b"\n")
                await self._writer.drain()
            answer = await self._answers.get()
            if answer is not None:
                return answer
        raise GoneError(f"{self.name} runs no more: the process that it ran in has ended")

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Have `hear` called with each line that the camera says; return what ends that."""
        self._ears.append(hear)
        return lambda: self._ears.remove(hear)

    async def run(self) -> None:
        """Read what comes, until that process ends."""
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                if "answer" in message:
                    self._answers.put_nowait(message["answer"])
                for hear in list(self._ears) if "said" in message else ():
                    hear(message["said"])
        except (OSError, ValueError):
            pass
        finally:
            self.gone.set()
            self._answers.put_nowait(None)


@asynccontextmanager
async def attached(name: str, folder: Path) -> AsyncGenerator[Remote | None]:
    """Yield the console of the camera that runs with this folder; None where none does."""
    try:
        with _short(folder) as path:
            reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        yield None
        return
    remote = Remote(name, reader, writer)
    reading = asyncio.create_task(remote.run(), name=f"console of {name}")
    try:
        yield remote
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
