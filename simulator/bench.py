"""The program's end of a virtual camera's hardware: presses go in, frames and pictures of the OLED come out.

A Unix domain socket in a folder that only this user can enter; see `hardware/bench.py` for what is said on it.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from simulator.scene import Scene, black, turned
from simulator.screen import BYTES, save_oled

log = structlog.get_logger(__name__)

_WORDS_OF_FRAME = 3
_MOMENTS = {"press", "frames", "hang"}
SPOILT = "spoilt"


class Bench:
    """Serves one camera. Frames are kept in `taken`, the last `keep` of them; `pixels` is its display's memory.

    Those that were given black or torn lie in `taken/spoilt`: they need not be in any archive.

    `bite` is called when its watchdog was not fed.
    """

    def __init__(
        self,
        *,
        scene: Scene,
        taken: Path,
        oled_png: Path | None,
        keep: int = 64,
        bite: Callable[[], None] = lambda: None,
    ) -> None:
        self._scene, self._taken, self._oled_png = scene, taken, oled_png
        self._kept: deque[Path] = deque(sorted(taken.rglob("*.jpg"), key=lambda path: path.stem))
        self._keep = keep
        self._bite = bite
        self._number = int(self._kept[-1].stem) if self._kept else 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._events: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._world: dict[str, list[str]] = {}
        self.pixels = b""
        self.hangs = False
        self._bites_at_s: float | None = None
        self._to_draw = asyncio.Event()
        self._drawer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the socket."""
        # A short path of its own: the address of a Unix domain socket has 108 bytes at most.
        self._folder = Path(tempfile.mkdtemp(prefix="aa-"))
        self.path = self._folder / "bench"
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        if self._oled_png is not None:
            self._drawer = asyncio.create_task(self._draw(self._oled_png), name="oled")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it; the camera takes that as a reason to end."""
        self._server.close()
        if self._drawer is not None:
            self._drawer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drawer
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def world(self) -> dict[str, str]:
        """What lasts of all that was said, by its first word."""
        return {event: " ".join(words) for event, words in self._world.items()}

    @property
    def bites_in_s(self) -> float | None:
        """When its watchdog bites, unless it is fed before; None where none watches."""
        return None if self._bites_at_s is None else max(0.0, self._bites_at_s - asyncio.get_running_loop().time())

    async def send(self, line: str) -> None:
        """Send an event to the camera: a press as soon as it listens; what lasts also holds after its next reset."""
        event, *words = line.split()
        if event not in _MOMENTS:
            self._world[event] = words
            if self._events is None:
                return
        while True:
            await self._connected.wait()
            writer = self._events
            if writer is not None:
                with contextlib.suppress(OSError):  # it went away meanwhile: the next run gets it
                    writer.write(line.encode() + b"\n")
                    await writer.drain()
                    self.hangs = self.hangs or event == "hang"
                    return
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            words = (await reader.readline()).decode().split()
            if words == ["events"]:
                await self._listen(reader, writer)
            elif words == ["watchdog"]:
                await self._watch(reader)
            else:
                frame = await self._frame(words)
                writer.write(b"%d\n" % len(frame) + frame)
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            log.warning("bench connection failed", error=repr(error))
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        """Call `bite` when the camera does not say in time for how long it is to be left alone (ms; 0: for ever)."""
        timeout_s: float | None = None
        try:
            while True:
                async with asyncio.timeout(timeout_s):
                    line = await reader.readline()
                if not line:
                    return
                timeout_s = int(line) / 1000 or None
                self._bites_at_s = timeout_s and asyncio.get_running_loop().time() + timeout_s
        except TimeoutError:
            self._bite()
        finally:
            self._bites_at_s = None

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take pictures of the OLED until the camera's power goes off, which is the end of the connection."""
        writer.write(json.dumps(self._world).encode() + b"\n")
        self._events, self.hangs = writer, False
        self._connected.set()
        try:
            while await reader.readline():
                self.pixels = await reader.readexactly(BYTES)
                self._to_draw.set()
        finally:
            if self._events is writer:
                self._events = None
                self._connected.clear()

    async def _frame(self, words: list[str]) -> bytes:
        if len(words) < _WORDS_OF_FRAME or words[0] != "frame":
            raise ValueError("frame: size and quality, and what the sensor does to it")
        width, height = (int(side) for side in words[1].split("x"))
        quality, how = int(words[2]), set(words[_WORDS_OF_FRAME:])
        spoilt = how & {"black", "truncated"}
        if "black" in how:
            frame = await asyncio.to_thread(black, (width, height), quality)
        else:
            frame = await self._scene.frame(width, height, quality)
            frame = await asyncio.to_thread(turned, frame, quality, how) if how - spoilt else frame
        if "truncated" in how:
            frame = frame[: len(frame) // 2]
        self._number += 1
        folder = self._taken / SPOILT if spoilt else self._taken
        folder.mkdir(exist_ok=True)
        path = folder / f"{self._number:06d}.jpg"
        await asyncio.to_thread(path.write_bytes, frame)
        self._kept.append(path)
        while len(self._kept) > self._keep:
            self._kept.popleft().unlink(missing_ok=True)
        return frame

    async def _draw(self, path: Path) -> None:
        while True:
            await self._to_draw.wait()
            self._to_draw.clear()
            await asyncio.to_thread(save_oled, self.pixels, path)
