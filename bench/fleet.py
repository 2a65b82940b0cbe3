"""Two hundred virtual cameras on this machine: the real firmware, two hundred times, against one `aperture up`.

The cameras' CPU and memory are theirs, the server's its own process's; both share the machine with the bench itself.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from aperture.store import cameras
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database, sqlite_url
from bench import photos, processes
from bench.processes import Running
from simulator.faults import PROFILES
from simulator.fleet import Fleet, Server
from simulator.verdict import judge

CAMERAS = 200
SETTLE_S, REST_S, PRESSES_WITHIN_S = 10, 10, 20
ONLINE_S = 120
FRAME_BYTES = 30_000


def run() -> Iterator[dict[str, Any]]:
    """Yield what they take, and what came of one photo each."""
    with (
        processes.aperture() as system,
        tempfile.TemporaryDirectory(prefix="aperture-bench-") as folder,
    ):
        yield from asyncio.run(_fleet(system, Path(folder)))


async def _fleet(system: Running, folder: Path) -> list[dict[str, Any]]:
    frames = folder / "frames"
    frames.mkdir()
    for number, shot in enumerate(photos.make(20, size=FRAME_BYTES, seen=True)):
        (frames / f"{number}.jpg").write_bytes(shot.data)
    host, mqtt_port = system.mqtt or ("127.0.0.1", 0)
    server = Server(host=host, mqtt_port=mqtt_port, ftp_port=system.ftp[1])
    members = dict(processes.add_cameras(system.data_dir, CAMERAS))
    database = Database.open(sqlite_url(system.data_dir / "aperture.db"))
    started = time.monotonic()
    try:
        async with Fleet(
            members=members, server=server, folder=folder, profile=PROFILES["none"], frames=frames
        ) as fleet:
            await fleet.start()
            online = await _online(database)
            started_s = time.monotonic() - started
            await asyncio.sleep(SETTLE_S)
            at_rest = await _cost(system, REST_S)
            await fleet.live(photos=1, duration_s=PRESSES_WITHIN_S)
            await fleet.drain()
            verdict = await asyncio.to_thread(
                judge,
                database=database,
                blobs=LocalBlobs(root=system.data_dir / "photos"),
                taken=fleet.taken,
                frames={camera.name: camera.taken for camera in fleet.cameras},
            )
    finally:
        database.close()
    return [
        {"what": f"{CAMERAS} cameras at rest", "cores": os.cpu_count(), "online": online, **at_rest},
        {"what": f"{CAMERAS} cameras started", "seconds": round(started_s, 1)},
        {
            "what": "one photo each",
            "within_s": PRESSES_WITHIN_S,
            "taken": verdict.taken,
            "stored": verdict.stored,
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "broken": len(verdict.broken),
        },
    ]


async def _online(database: Database) -> int:
    """Return how many the server calls online, once that is all of them, or after a while."""
    deadline = time.monotonic() + ONLINE_S
    while True:
        known = await database.aread(cameras.every)
        count = sum(camera.presence.value == "online" for camera in known)
        if count >= CAMERAS or time.monotonic() > deadline:
            return count
        await asyncio.sleep(0.5)


async def _cost(system: Running, for_s: float) -> dict[str, Any]:
    """Measure cameras and server over a while."""
    fleet = [child for child in psutil.Process().children() if "power_on.py" in " ".join(child.cmdline())]
    server = [psutil.Process(system.pid), *psutil.Process(system.pid).children(recursive=True)]
    before = [_cpu_s(fleet), _cpu_s(server)]
    await asyncio.sleep(for_s)
    used = [_cpu_s(fleet) - before[0], _cpu_s(server) - before[1]]
    pss = [process.memory_full_info().pss for process in fleet]
    return {
        "cameras_cpu_percent_of_a_core": round(used[0] / for_s * 100, 1),
        "server_cpu_percent_of_a_core": round(used[1] / for_s * 100, 1),
        "pss_mb_each": round(sum(pss) / len(pss) / 1e6, 2),
        "pss_mb_all": round(sum(pss) / 1e6),
    }


def _cpu_s(group: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in group))
