"""What `press` is measured on: the Discord stand-in, `aperture up`, and the real firmware as a virtual camera."""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import photos, processes
from bench.processes import Running
from simulator.camera import VirtualCamera
from simulator.link import Link, Quality

FRAME_BYTES = 100_000
FRAMES = 80
DEADLINE_S = 60


@dataclass(frozen=True, kw_only=True)
class Road:
    """How camera and plain client reach the server, which listens at `server`: through a proxy if there is `quality`.

    `enter` goes before a command line that is to run at their end.
    """

    name: str
    server: str = "127.0.0.1"
    quality: Quality | None = None
    enter: Sequence[str] = ()


@dataclass(kw_only=True)
class Stage:
    """What there is; `camera` has no power yet. `host`, `mqtt_port` and `ftp_port` are where it finds the server."""

    discord: dict[str, str]
    system: Running
    camera: VirtualCamera
    other: tuple[str, str]
    link: Link | None
    host: str
    ftp_port: int
    said: list[str] = field(default_factory=list)

    async def newest(self) -> int:
        """Return the number of the newest request that the stand-in has seen."""
        return max((record["number"] for record in await self._seen(0)), default=0)

    async def arrival_ns(self, since: int) -> int:
        """Return when the next photo's body was whole at the stand-in, by CLOCK_MONOTONIC."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            await asyncio.sleep(0.05)  # a question at the stand-in just now would stand in the photo's way
            for record in await self._seen(since):
                if record["method"] == "POST" and record["message_id"]:
                    return int(record["received_ns"])
        raise TimeoutError("the photo did not come to Discord")

    async def hear(self, start: str, count: int = 1) -> None:
        """Wait until the camera has said so many lines that start so."""
        async with asyncio.timeout(DEADLINE_S):
            while sum(line.startswith(start) for line in self.said) < count:  # noqa: ASYNC110 - short, and simple
                await asyncio.sleep(0.002)

    async def online(self) -> None:
        """Give it power and wait until it is connected to everything."""
        await self.camera.power_on()
        await self.hear("mqtt up")
        await self.hear("ftp up")

    async def _seen(self, since: int) -> list[dict[str, Any]]:
        return await asyncio.to_thread(processes.seen, self.discord["url"], since)


@asynccontextmanager
async def built(road: Road) -> AsyncGenerator[Stage]:
    """Build one up; the camera sees frames of exactly `FRAME_BYTES`, each another."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aperture-bench-")))
        frames = folder / "frames"
        frames.mkdir()
        for number, shot in enumerate(photos.make(FRAMES, size=FRAME_BYTES, seen=True)):
            (frames / f"{number:04}.jpg").write_bytes(shot.data)
        discord = stack.enter_context(processes.stand_in())
        system = stack.enter_context(processes.aperture(**_settings(discord, road)))
        account, other = processes.add_cameras(system.data_dir, 2)
        (host, mqtt_port), ftp_port, link = system.mqtt or ("", 0), system.ftp[1], None
        if road.quality is not None:
            link = Link(ports={"mqtt": mqtt_port, "ftp": ftp_port}, quality=road.quality)
            await stack.enter_async_context(link)
            mqtt_port, ftp_port = link.ports["mqtt"], link.ports["ftp"]
        camera = VirtualCamera(
            name=account[0],
            token=account[1],
            host=host,
            mqtt_port=mqtt_port,
            ftp_port=ftp_port,
            folder=folder / "camera",
            frames=frames,
            enter=road.enter,
        )
        stage = Stage(
            discord=discord, system=system, camera=camera, other=other, link=link, host=host, ftp_port=ftp_port
        )
        camera.listen(stage.said.append)
        await stack.enter_async_context(camera)
        yield stage


def _settings(discord: dict[str, str], road: Road) -> dict[str, str]:
    return {
        "APERTURE_DISCORD__WEBHOOK_URL": discord["webhook_url"],
        "APERTURE_DISCORD__API_BASE": discord["api_base"],
        "APERTURE_DISCORD__CHANNEL_PER_MINUTE": "100000",
        "APERTURE_MQTT__HOST": road.server,
        "APERTURE_FTP__HOST": road.server,
    }
