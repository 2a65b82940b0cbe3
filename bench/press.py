"""From a press to the photo at the Discord stand-in, through the real firmware, beside a plain FTP client.

Both stand at the same end of the same network, hand the same bytes to the same server, and take turns. Ours begins at
the press: the frame, the card and the announcement are in its time. The plain client (`plain`) begins with the bytes
in its memory, logged in, and keeps nothing. The networks are loopback, and 8 Mbit/s with 5 ms each way: packets in a
network namespace where root allows (`simulator.radio`), and a proxy anywhere (`simulator.link`).
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from bench.stage import FRAME_BYTES, Road, Stage, built
from simulator.link import DATA, Quality
from simulator.radio import Radio, why_not

WARM_UP, TURNS, COUNTED, BOOTS = 3, 25, 10, 5
BITS_PER_S, DELAY_MS, FAR_MS = 8_000_000, 5, 100
ORIGINAL_READY_MS = 25_000
LET_GO_S = 0.2  # the finger leaves the button, which then bounces
SLOW = f"{BITS_PER_S // 1_000_000} Mbit/s, {DELAY_MS} ms each way"
LINE = Quality(bits_per_s=BITS_PER_S, delay_ms=DELAY_MS)


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures, and the ratios that have a budget."""
    loop = asyncio.new_event_loop()
    figures = _all()
    try:
        while (figure := loop.run_until_complete(anext(figures, None))) is not None:
            yield figure
    finally:
        loop.run_until_complete(figures.aclose())
        loop.close()


async def _all() -> AsyncGenerator[dict[str, Any]]:
    async for figure in _beside(Road(name="loopback")):
        yield figure
    if why_not() is None:
        with Radio(bits_per_s=BITS_PER_S, delay_ms=DELAY_MS) as radio:
            async for figure in _beside(Road(name=SLOW, server=radio.server, enter=radio.enter)):
                yield figure
    async for figure in _beside(Road(name=f"{SLOW}, by proxy", quality=LINE)):
        yield figure
    async for figure in _on_the_wire():
        yield figure
    async for figure in _from_power_on():
        yield figure


async def _beside(road: Road) -> AsyncIterator[dict[str, Any]]:
    """Measure both, photo by photo."""
    ours: list[float] = []
    theirs: list[float] = []
    async with built(road) as stage, _plain(stage, road) as plain:
        await stage.online()
        for turn in range(WARM_UP + TURNS):
            ours.append(await _press(stage, turn + 1))
            frame = max(stage.camera.taken.glob("*.jpg"))
            since = await stage.newest()
            began_ns = await plain.upload(str(frame))
            theirs.append((await stage.arrival_ns(since) - began_ns) / 1e6)
    ours, theirs = ours[WARM_UP:], theirs[WARM_UP:]
    for what, times in (("firmware", ours), ("plain CPython client", theirs)):
        yield {"what": what, "link": road.name, "bytes": FRAME_BYTES, "photos": len(times), **_spread(times)}
    yield {
        "what": "ratio",
        "link": road.name,
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
        "budget": 1.3,
        "of": "medians of: press to body whole at the stand-in; EPSV of a client that is logged in to the same",
    }


async def _press(stage: Stage, count: int) -> float:
    """Press and return after how many ms the photo was at the stand-in."""
    await asyncio.sleep(LET_GO_S)
    since = await stage.newest()
    pressed_ns = time.monotonic_ns()
    await stage.camera.press()
    passed_ms = (await stage.arrival_ns(since) - pressed_ns) / 1e6
    await stage.hear("photo delivered", count)
    return passed_ms


class _Plain:
    """The plain client's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("no output")
        return (await self._process.stdout.readline()).decode().strip()

    async def upload(self, path: str) -> int:
        """Upload a file and return when it began."""
        if self._process.stdin is None:
            raise RuntimeError("no input")
        self._process.stdin.write(f"{path}\n".encode())
        return int(await self.line())


@asynccontextmanager
async def _plain(stage: Stage, road: Road) -> AsyncGenerator[_Plain]:
    name, token = stage.other
    process = await asyncio.create_subprocess_exec(
        *road.enter, sys.executable, "-m", "bench.plain", stage.host, str(stage.ftp_port), name, token,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        plain = _Plain(process)
        if await plain.line() != "ready":
            raise RuntimeError("the plain client does not get in")
        yield plain
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _on_the_wire() -> AsyncIterator[dict[str, Any]]:
    """Count what one photo costs on the network: by a proxy, and once more by one that makes round trips long."""
    async with built(Road(name="count", quality=Quality())) as stage:
        link = stage.link
        if link is None:
            return
        await stage.online()
        await asyncio.sleep(2)  # what connecting had to tell has been told
        up, down = link.bytes_up.copy(), link.bytes_down.copy()
        opened = link.connections.copy()
        for count in range(1, COUNTED + 1):
            await _press(stage, count)
            await asyncio.sleep(1.5)  # the status that follows belongs to the photo
        up.subtract(link.bytes_up)
        down.subtract(link.bytes_down)
        counts = {kind: {"up": -up[kind] // COUNTED, "down": -down[kind] // COUNTED} for kind in (DATA, "ftp", "mqtt")}
        yield {
            "what": "bytes on the wire for a photo",
            "photo": FRAME_BYTES,
            **counts,
            "data connections": (link.connections[DATA] - opened[DATA]) / COUNTED,
            "beside the photo's own": sum(each["up"] + each["down"] for each in counts.values()) - FRAME_BYTES,
        }
        near_ms = statistics.median([await _first_byte_ms(stage, COUNTED + 1 + turn) for turn in range(5)])
        link.quality = Quality(delay_ms=FAR_MS)
        far_ms = statistics.median([await _first_byte_ms(stage, COUNTED + 6 + turn) for turn in range(5)])
        yield {
            "what": "round trips from a press until its bytes flow",
            "round_trips": round((far_ms - near_ms - FAR_MS) / (2 * FAR_MS), 1),
            "budget": 2,
        }


async def _first_byte_ms(stage: Stage, count: int) -> float:
    """Return how long after a press its first byte arrives."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[float] = loop.create_future()

    def note(kind: str, up: bool, size: int) -> None:  # noqa: FBT001 - the link calls it so
        del size
        if kind == DATA and up and not first.done():
            first.set_result(loop.time())

    if stage.link is None:
        raise RuntimeError("no link")
    stage.link.on_piece = note
    await asyncio.sleep(LET_GO_S)
    pressed = loop.time()
    await stage.camera.press()
    passed_ms = (await first - pressed) * 1000
    await stage.hear("photo delivered", count)
    await asyncio.sleep(1)
    return passed_ms


async def _from_power_on() -> AsyncIterator[dict[str, Any]]:
    """Measure starts: until the shutter works, until it is online, and until a press at power-on is in Discord."""
    taken, online, posted = list[float](), list[float](), list[float]()
    async with built(Road(name="loopback")) as stage:
        await stage.online()
        for _ in range(BOOTS):
            await stage.camera.kill()
            stage.said.clear()
            since = await stage.newest()
            started_ns = time.monotonic_ns()
            await stage.camera.power_on()
            pressing = asyncio.create_task(stage.camera.press())
            waits = [asyncio.create_task(_after_ms(stage, line, started_ns)) for line in ("photo taken", "mqtt up")]
            posted.append((await stage.arrival_ns(since) - started_ns) / 1e6)
            for times, wait in zip((taken, online), waits, strict=True):
                times.append(await wait)
            await pressing
            await stage.hear("photo delivered")
    yield {"what": "power on to a photo on the card, pressed at once", **_spread(taken)}
    yield {"what": "power on to online at the broker", **_spread(online)}
    yield {
        "what": "power on to the photo in Discord",
        **_spread(posted),
        "original_ms": ORIGINAL_READY_MS,
        "times faster": round(ORIGINAL_READY_MS / statistics.median(posted), 1),
        "budget": 5,
        "of": "the original's fixed delays before it is ready, as arithmetic: its code waits for so long on any chip",
    }


async def _after_ms(stage: Stage, line: str, started_ns: int) -> float:
    await stage.hear(line)
    return (time.monotonic_ns() - started_ns) / 1e6


def _spread(times: list[float]) -> dict[str, float]:
    return {"p50_ms": round(statistics.median(times), 1), "max_ms": round(max(times), 1)}
