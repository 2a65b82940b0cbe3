"""Durable uploads a second with 1 and 100 connections beside bare pyftpdlib, and what a photo costs in fsyncs."""

import asyncio
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from bench import photos, processes
from bench.uploader import Uploader, upload_all

ROUNDS = 3
PHOTOS = {1: 300, 100: 1500}
Login = tuple[tuple[str, int], list[tuple[str, str]], bool]


def run() -> Iterator[dict[str, Any]]:
    """Yield uploads a second of both, round by round in turn, then the fsyncs."""
    with _bare() as bare, _ours(100) as ours:
        for connections, count in PHOTOS.items():
            rates: dict[str, list[float]] = {"aperture": [], "bare pyftpdlib": []}
            for _ in range(ROUNDS):
                rates["bare pyftpdlib"].append(_rate(bare, connections, count))
                rates["aperture"].append(_rate(ours, connections, count))
            medians = {name: statistics.median(values) for name, values in rates.items()}
            for name, median in medians.items():
                yield {"what": name, "connections": connections, "photos": count, "uploads_per_s": round(median)}
            ratio = round(medians["aperture"] / medians["bare pyftpdlib"], 2)
            yield {"what": "ratio to bare", "connections": connections, "ratio": ratio, "budget": 0.5}
    for connections in PHOTOS:
        yield _fsyncs(connections, 300)


def _rate(login: Login, connections: int, count: int) -> float:
    address, accounts, ours = login
    shots = photos.make(count)
    os.sync()  # nobody pays for the bytes that the round before left in memory
    share = count // connections

    async def everyone() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(connections):
                user, password = accounts[number % len(accounts)]
                mine = shots[number * share : (number + 1) * share]
                group.create_task(upload_all(address, user, password, mine, ours=ours))

    started = time.monotonic()
    asyncio.run(everyone())
    return share * connections / (time.monotonic() - started)


@contextmanager
def _bare() -> Iterator[Login]:
    port = processes.free_port()
    with processes.child("-m", "bench.baselines", str(port)):
        processes.wait_for(lambda: processes.listens(port), "bare pyftpdlib")
        yield ("127.0.0.1", port), [("bench", "bench")], False


@contextmanager
def _ours(cameras: int, wrap: list[str] | None = None) -> Iterator[Login]:
    running: AbstractContextManager[processes.Running] = processes.aperture("broker", wrap=wrap)
    with running as system:
        accounts = processes.add_cameras(system.data_dir, cameras)
        processes.wait_for(lambda: _logs_in(system.ftp, *accounts[-1]), "the cameras' accounts")
        yield system.ftp, accounts, True


def _logs_in(address: tuple[str, int], name: str, token: str) -> bool:
    try:
        Uploader(address, name, token).close()
    except ConnectionError:
        return False
    return True


def _fsyncs(connections: int, count: int) -> dict[str, Any]:
    """Count fsync and fdatasync per photo with strace, which slows everything: no times are taken here."""
    figure: dict[str, Any] = {"what": "fsyncs per photo", "connections": connections, "photos": count}
    if shutil.which("strace") is None:
        return figure | {"skipped": "strace is not installed: apt-get install strace"}
    with tempfile.NamedTemporaryFile(mode="r", prefix="aperture-strace-") as trace:
        wrap = ["strace", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,syncfs", "-o", trace.name]
        with _ours(connections, wrap) as login:
            before = _counts(Path(trace.name))
            _rate(login, connections, count)
            after = _counts(Path(trace.name))
    per_photo = {name: round((after[name] - before[name]) / count, 2) for name in after}
    return figure | per_photo | {"budget": "database well under 1"}


def _counts(trace: Path) -> dict[str, int]:
    calls = trace.read_text(errors="replace")
    paths = re.findall(r"(?:fsync|fdatasync)\(\d+<([^>]*)>", calls)
    database = sum(".db" in path for path in paths)
    files = sum(path.endswith((".part", ".jpg")) for path in paths)
    return {
        "database": database,
        "files": files,
        "folders": len(paths) - database - files,
        "syncfs": calls.count("syncfs("),
    }
