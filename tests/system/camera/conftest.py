"""A real server, the real firmware, and a bad link between them, from seeds that can be had again."""

import asyncio
import contextlib
import io
import json
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database, sqlite_url
from simulator.available import why_not
from simulator.camera import VirtualCamera
from simulator.errors import LibraryError, NotAvailableError
from simulator.libraries import ensure_libraries
from simulator.link import Link
from simulator.radio import Radio
from simulator.radio import why_not as why_no_radio
from simulator.verdict import Verdict, judge

CACHE = Path(__file__).parents[3] / ".cache"
PATIENCE_S = 60.0
FRAME_BYTES = 6_000


def draw_frames(folder: Path, *, size: int = FRAME_BYTES, count: int = 1200) -> Path:
    """Fill a folder with JPEGs of so many bytes, each another picture: one seen twice would be a photo stored twice."""
    folder.mkdir()
    dice = random.Random(1)
    for number in range(count):
        file = io.BytesIO()
        Image.frombytes("RGB", (64, 48), dice.randbytes(64 * 48 * 3)).save(file, "JPEG", quality=60)
        whole = file.getvalue()
        room = size - len(whole) - 4
        comment = b"\xff\xfe" + (room + 2).to_bytes(2, "big") + b"%0*d" % (room, number)
        (folder / f"{number:05}.jpg").write_bytes(whole[:2] + comment + whole[2:])
    return folder


class Rig:
    """`up` is the server's process, `link` what lies between, `camera` the camera; what it said is in `said`."""

    def __init__(self, up: Any, account: dict[str, Any], camera: VirtualCamera, link: Link | None) -> None:
        self.up, self.account, self.camera, self.link = up, account, camera, link
        self.said: list[str] = []
        self.taken: set[str] = set()
        camera.listen(self._hear)

    def _hear(self, line: str) -> None:
        self.said.append(line)
        if line.startswith("photo taken"):
            self.taken.add(dict(fact.split("=", 1) for fact in line.split() if "=" in fact)["photo"])

    def heard(self, start: str) -> int:
        return sum(line.startswith(start) for line in self.said)

    async def until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}; it said\n" + "\n".join(self.said[-30:])
            await asyncio.sleep(0.02)

    async def online(self) -> None:
        await self.until(lambda: self.heard("mqtt up") and self.heard("ftp up"), "it is online")

    async def press(self) -> None:
        """Press, and wait until the photo is on the card."""
        before = len(self.taken)
        await self.camera.press()
        await self.until(lambda: len(self.taken) > before, "a photo is taken")

    async def empty(self, patience_s: float = PATIENCE_S) -> None:
        await self.until(lambda: not self.camera.waiting, f"{self.camera.waiting} wait", patience_s)

    def verdict(self) -> Verdict:
        database = Database.open(sqlite_url(self.up.data_dir / "aperture.db"))
        try:
            return judge(
                database=database,
                blobs=LocalBlobs(root=self.up.data_dir / "photos"),
                taken={self.camera.name: self.taken},
                frames={self.camera.name: self.camera.taken},
            )
        finally:
            database.close()

    def kept_the_promise(self, photos: int) -> None:
        """Each photo is in the archive, once, as the sensor gave it."""
        verdict = self.verdict()
        assert (verdict.lost, verdict.doubled, verdict.broken) == ([], [], [])
        assert verdict.taken == verdict.stored == photos

    async def restart(self) -> None:
        """Cut the server's power, and start it again on other ports; the link knows."""
        await asyncio.to_thread(self.up.kill)
        await asyncio.to_thread(self.up.start)
        assert self.link is not None
        self.link.targets.update(mqtt=self.up.run["mqtt"]["port"], ftp=self.up.run["ftp"]["port"])

    async def heap_free(self) -> int:
        """Wait until all have gone, and return how many bytes of heap are free then: garbage is collected."""
        await self.empty(600)
        since = self._status()["uptime_ms"]
        await self.until(lambda: self._status()["uptime_ms"] > since and not self._status()["queue"], "a new status")
        return int(self._status()["heap_free"])

    def _status(self) -> dict[str, Any]:
        with contextlib.closing(sqlite3.connect(self.up.data_dir / "aperture.db")) as database:
            [(status,)] = database.execute("SELECT status FROM camera WHERE name = ?", (self.camera.name,))
        return {"uptime_ms": -1, "queue": None} if status is None else json.loads(status)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the MicroPython libraries are."""
    if why_not():
        pytest.skip(str(why_not()))
    try:
        ensure_libraries(CACHE)
    except LibraryError as error:
        pytest.skip(str(error))
    return CACHE


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,200 JPEGs of 6,000 bytes, each another."""
    return draw_frames(tmp_path_factory.mktemp("frames") / "small")


@pytest.fixture
def radio() -> Iterator[Callable[..., Radio]]:
    """Turn a radio on; a machine that does not allow it skips the test."""
    with contextlib.ExitStack() as stack:

        def make(**quality: Any) -> Radio:
            if why_no_radio():
                pytest.skip(f"the radio {why_no_radio()}")
            try:
                return stack.enter_context(Radio(**quality))
            except NotAvailableError as error:
                pytest.skip(str(error))

        yield make


@pytest.fixture
async def rig(aperture, cache, frames, tmp_path) -> AsyncIterator[Callable[..., Any]]:
    """`await rig(**link)` starts a server and a camera with a link between them, and waits until it is online.

    With `air`, a `Radio`, that is between them, and no link.
    """
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, up: Any = None, frames: Path = frames, air: Radio | None = None, **link: Any) -> Rig:
            host = "127.0.0.1" if air is None else air.server
            if up is None:
                up = aperture("up", APERTURE_MQTT__HOST=host, APERTURE_FTP__HOST=host)
                await asyncio.to_thread(up.start)
            account = await asyncio.to_thread(up.cli, "camera", "add", "cam")
            ports = {"mqtt": up.run["mqtt"]["port"], "ftp": up.run["ftp"]["port"]}
            between = None if air else await stack.enter_async_context(Link(ports=ports, **link))
            at = ports if between is None else between.ports
            camera = VirtualCamera(
                name="cam",
                token=account["token"],
                host=host,
                mqtt_port=at["mqtt"],
                ftp_port=at["ftp"],
                folder=tmp_path / "camera",
                frames=frames,
                cache=cache,
                keep=100_000,
                enter=air.enter if air else (),
            )
            made = Rig(up, account, camera, between)
            await stack.enter_async_context(camera)
            await made.online()
            return made

        yield make
