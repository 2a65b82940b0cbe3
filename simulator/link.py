"""A bad network between cameras and their server: a TCP proxy for MQTT and FTP, with rate, delay, stalls and cuts.

A passive port is known from the reply that names it (229, RFC 2428 §3): the link listens on one of its own and names
that one instead. So it carries plain FTP; `radio` carries everything, where root allows.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"
DATA: Final = "data"
"""The kind of an FTP data connection; the others are called as their ports are."""

_PIECE: Final = 4096
_PIECES_UNDER_WAY: Final = 16
_SMALL_BUFFER: Final = 32_768
_PASSIVE: Final = b"229"
_END: Final = None
_NOBODY_CAME_S: Final = 60.0
_SILENT_S: Final = 300.0


class How(StrEnum):
    """How a connection ends that is cut."""

    RESET = "reset"
    END = "end"
    SILENCE = "silence"


class Told(StrEnum):
    """Who hears of it; the other end goes on waiting."""

    BOTH = "both"
    CAMERA = "camera"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a connection is cut: after so many bytes from the camera (`up`), or to it."""

    at: int
    how: How = How.RESET
    told: Told = Told.BOTH
    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a link is like, in each direction. `stalls` is the share of pieces that come as late as a lost segment."""

    bits_per_s: int | None = None
    delay_ms: float = 0
    stalls: float = 0
    stall_ms: float = 250


PERFECT: Final = Quality()
Plan = Callable[[str, int], Cut | None]
"""What becomes of a connection, by its kind and its number among those of its kind, from 0."""


def seeded_cuts(seed: int, *, share: float, within: int) -> Plan:
    """Return a plan that cuts a share of the connections, each somewhere before its byte `within`."""
    dice = random.Random(seed)  # noqa: S311 - to be had again

    def plan(kind: str, number: int) -> Cut | None:
        del kind, number
        at, how, told, up = (
            dice.randrange(within),
            dice.choice(list(How)),
            dice.choice(list(Told)),
            dice.random() < 0.8,  # noqa: PLR2004 - most bytes go up, and so do most cuts
        )
        return Cut(at=at, how=how, told=told, up=up) if dice.random() < share else None

    return plan


class Link:
    """Carries connections to `host`, one port of ours for each of `ports` (kind → port there; FTP's kind is "ftp").

    A context manager. `quality`, `plan` and `targets` may be changed while it runs; connections that are there take
    the new quality at their next piece, and the ports in `targets` are for those to come. `on_cut` is called with a
    connection's kind when it was cut by plan, `on_piece` with kind, up, size when bytes arrive.
    """

    def __init__(
        self,
        *,
        ports: Mapping[str, int],
        host: str = LOOPBACK,
        quality: Quality = PERFECT,
        plan: Plan | None = None,
        seed: int = 0,
    ) -> None:
        self.quality, self.plan = quality, plan
        self.on_cut: Callable[[str], None] = lambda _kind: None
        self.on_piece: Callable[[str, bool, int], None] = lambda _kind, _up, _size: None
        self.ports: dict[str, int] = {}
        self.connections: Counter[str] = Counter()
        self.cuts: Counter[How] = Counter()
        self.bytes_up: Counter[str] = Counter()
        self.bytes_down: Counter[str] = Counter()
        self.dice = random.Random(seed)  # noqa: S311 - to be had again
        self.lanes = {True: Lane(), False: Lane()}
        self.targets = dict(ports)
        self._host = host
        self._servers: set[asyncio.Server] = set()
        self._here: set[Connection] = set()
        self._down = False

    async def __aenter__(self) -> Self:
        """Listen."""
        for kind in self.targets:
            self.ports[kind] = await self._listen(kind)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all connections."""
        for server in list(self._servers):
            server.close()
        self._servers.clear()
        while self._here:
            await asyncio.gather(*(one.end() for one in list(self._here)))

    async def go_down(self) -> None:
        """Reset every connection, and each that comes, until `come_back`."""
        self._down = True
        await self.cut_all(How.RESET)

    def come_back(self) -> None:
        """Carry connections again."""
        self._down = False

    async def cut_all(self, how: How, told: Told = Told.BOTH) -> None:
        """Cut every connection that is there now."""
        for one in list(self._here):
            one.cut(Cut(at=0, how=how, told=told))
        await asyncio.sleep(0)

    async def cut_some(self, share: float, how: How) -> None:
        """Cut about this share of the connections that are there now."""
        for one in list(self._here):
            if self.dice.random() < share:
                one.cut(Cut(at=0, how=how))
        await asyncio.sleep(0)

    async def _listen(self, kind: str, port: int | None = None) -> int:
        """Return a port of ours that leads to the one in `targets`, or once to another."""
        once = port is not None
        server: asyncio.Server | None = None

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if once and server is not None:
                self._close(server)
            await self._carry(kind, port or self.targets[kind], reader, writer)

        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)  # who sends is to feel the rate
        sock.bind((LOOPBACK, 0))
        server = await asyncio.start_server(accept, sock=sock)
        self._servers.add(server)
        if once:
            asyncio.get_running_loop().call_later(_NOBODY_CAME_S, self._close, server)
        return int(sock.getsockname()[1])

    def _close(self, server: asyncio.Server) -> None:
        if server in self._servers:
            self._servers.discard(server)
            server.close()

    async def _carry(self, kind: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            hang_up(writer, reset=True)
            return
        number = self.connections[kind]
        self.connections[kind] += 1
        cut = self.plan(kind, number) if self.plan else None
        connection = Connection(self, kind, cut)
        self._here.add(connection)
        try:
            await connection.run((self._host, port), reader, writer)
        finally:
            self._here.discard(connection)

    async def passive(self, line: bytes) -> bytes:
        """Return a 229 with a port of ours that leads to the one it names."""
        head, bar, rest = line.partition(b"|||")
        port, _, tail = rest.partition(b"|")
        if not bar or not port.isdigit():
            return line
        ours = await self._listen(DATA, int(port))
        return b"%s|||%d|%s" % (head, ours, tail)


class Lane:
    """One direction of the air: all connections share its rate."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def due(self, now: float, size: int, quality: Quality, *, stalled: bool) -> float:
        """Return when a piece arrives that is sent now."""
        begins = max(now, self._free_at)
        self._free_at = begins + (size * 8 / quality.bits_per_s if quality.bits_per_s else 0)
        return self._free_at + (quality.delay_ms + (quality.stall_ms if stalled else 0)) / 1000


class Connection:
    """One connection and its other half."""

    def __init__(self, link: Link, kind: str, cut: Cut | None) -> None:
        self._link, self._kind, self._cut = link, kind, cut
        self._writers: dict[bool, asyncio.StreamWriter] = {}  # up → where it is written to
        self._tasks: list[asyncio.Task[None]] = []
        self._is_cut = asyncio.Event()
        self._done = asyncio.Event()

    async def run(self, target: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until both ends have closed, or until it is cut."""
        try:
            self._writers[False] = writer
            there, up = await asyncio.open_connection(*target)
            self._writers[True] = up
            if self._is_cut.is_set():
                return
            opened_at = asyncio.get_running_loop().time() + 2 * self._link.quality.delay_ms / 1000
            self._tasks = [
                asyncio.create_task(self._pump(reader, up=True, not_before=opened_at)),
                asyncio.create_task(self._pump(there, up=False, not_before=opened_at)),
            ]
            await asyncio.wait(self._tasks)
            if self._is_cut.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._done.wait(), _SILENT_S)
        except OSError:
            hang_up(writer, reset=True)
        finally:
            await self.end()

    async def end(self) -> None:
        """Close both halves."""
        self._done.set()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for writer in self._writers.values():
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def cut(self, cut: Cut) -> None:
        """Cut it, once: no byte passes any more, and those are told who are to be."""
        if self._is_cut.is_set():
            return
        self._link.cuts[cut.how] += 1
        self._sever(cut)

    def _sever(self, cut: Cut) -> None:
        self._is_cut.set()
        for task in self._tasks:
            task.cancel()
        for up, writer in self._writers.items():
            hears = cut.told is Told.BOTH or (cut.told is Told.SERVER) == up
            if cut.how is not How.SILENCE and hears:
                hang_up(writer, reset=cut.how is How.RESET)
        if cut.how is not How.SILENCE and cut.told is Told.BOTH:
            self._done.set()

    async def _pump(self, reader: asyncio.StreamReader, *, up: bool, not_before: float) -> None:
        """Read pieces and have them written when they are due; the end of one direction passes on as such."""
        pieces: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(_PIECES_UNDER_WAY)
        writing = asyncio.create_task(self._write(pieces, up=up))
        self._tasks.append(writing)
        loop, link, held = asyncio.get_running_loop(), self._link, b""
        try:
            while data := await reader.read(_PIECE):
                if self._is_control(up=up):
                    held, data = await self._readdressed(held + data)
                stalled = link.dice.random() < link.quality.stalls
                due = link.lanes[up].due(max(loop.time(), not_before), len(data), link.quality, stalled=stalled)
                await pieces.put((due, data))
            for last in (held, _END):
                await pieces.put((loop.time() + link.quality.delay_ms / 1000, last))
            await writing
        except OSError:  # it was reset: the other half is to know the difference from an end
            self._sever(Cut(at=0))

    async def _write(self, pieces: asyncio.Queue[tuple[float, bytes | None]], *, up: bool) -> None:
        writer, passed, latest = self._writers[up], 0, 0.0
        cut = self._cut if self._cut and self._cut.up == up else None
        while True:
            due, data = await pieces.get()
            latest = max(latest, due)  # TCP keeps the order: what follows a stall comes after it
            await asyncio.sleep(latest - asyncio.get_running_loop().time())
            whole = data or b""
            reached = cut is not None and passed + len(whole) >= cut.at
            try:
                await self._pass_on(writer, whole[: cut.at - passed] if cut and reached else whole, up=up)
            except OSError:
                self._sever(Cut(at=0))
                return
            passed += len(whole)
            if cut and reached:
                self.cut(cut)
                self._link.on_cut(self._kind)
            elif data is _END:
                writer.write_eof()
            else:
                continue
            return

    async def _pass_on(self, writer: asyncio.StreamWriter, data: bytes, *, up: bool) -> None:
        if data:
            writer.write(data)
            await writer.drain()
            (self._link.bytes_up if up else self._link.bytes_down)[self._kind] += len(data)
            self._link.on_piece(self._kind, up, len(data))

    def _is_control(self, *, up: bool) -> bool:
        return self._kind == "ftp" and not up

    async def _readdressed(self, text: bytes) -> tuple[bytes, bytes]:
        """Return what must wait for its line's end, as it may name a port, and what may pass."""
        lines = text.splitlines(keepends=True)
        held = b""
        if lines and not lines[-1].endswith(b"\n") and _PASSIVE.startswith(lines[-1][:3]):
            held = lines.pop()
        passed = [await self._link.passive(line) if line.startswith(_PASSIVE) else line for line in lines]
        return held, b"".join(passed)


def hang_up(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """End a connection with FIN, or with RST."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if reset and sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
