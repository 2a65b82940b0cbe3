"""Starts what is measured, each in a process of its own, and ends it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aperture.clock import now_ms
from aperture.store import accounts
from aperture.store.database import Database, sqlite_url

READY_S = 90


@dataclass(frozen=True, slots=True)
class Running:
    """A system under measurement: its process, its data folder and what it says of itself."""

    pid: int
    data_dir: Path
    ftp: tuple[str, int]
    api: str | None = None
    mqtt: tuple[str, int] | None = None


def wait_for(condition: Any, what: str, timeout_s: float = READY_S) -> Any:
    """Return what `condition` gives once it is true."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.005)
    raise TimeoutError(f"{what}: not within {timeout_s} s")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def child(
    *arguments: str, env: dict[str, str] | None = None, wrap: list[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a Python module; end it afterwards."""
    command = [*(wrap or []), sys.executable, *arguments]
    process = subprocess.Popen(
        command,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # strace, told alone, would leave what it watches running
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def stand_in() -> Iterator[dict[str, str]]:
    """Run the Discord stand-in; yield its addresses."""
    with child("-m", "simulator.discord", "--port", "0", "--any-user-agent") as process:
        if process.stdout is None:
            raise RuntimeError("no output")
        yield json.loads(process.stdout.readline())


@contextmanager
def aperture(
    part: str = "up", *, wrap: list[str] | None = None, prepare: Callable[[Path], object] | None = None, **env: str
) -> Iterator[Running]:
    """Run `aperture up` (or one part) on loopback with a data folder of its own, which `prepare` sees first."""
    with tempfile.TemporaryDirectory(prefix="aperture-bench-") as folder:
        data_dir = Path(folder)
        if prepare is not None:
            prepare(data_dir)
        ports = {name: free_port() for name in ("mqtt", "ftp", "api")}
        settings = {"APERTURE_DATA_DIR": folder, "APERTURE_FTP__MAX_PER_ADDRESS": "500"}
        for name, port in ports.items():
            settings |= {f"APERTURE_{name.upper()}__HOST": "127.0.0.1", f"APERTURE_{name.upper()}__PORT": str(port)}
        with child("-m", "cli.main", part, env={**settings, **env}, wrap=wrap) as process:
            if part == "up":
                content = json.loads(wait_for(lambda: _read(data_dir / "run.json"), "aperture up"))
                mqtt, ftp = ((content[name]["host"], content[name]["port"]) for name in ("mqtt", "ftp"))
                yield Running(content["pid"], data_dir, ftp, content["api"]["url"], mqtt)
            else:
                wait_for(lambda: listens(ports["ftp"]), f"aperture {part}")
                yield Running(process.pid, data_dir, ("127.0.0.1", ports["ftp"]))


def add_cameras(data_dir: Path, count: int) -> list[tuple[str, str]]:
    """Add cameras to a data folder; return (name, token) of each."""
    database = Database.open(sqlite_url(data_dir / "aperture.db"))
    names = [f"bench-{number}" for number in range(count)]
    try:
        return database.write(
            lambda connection: [
                (name, accounts.add(connection, name=name, role=accounts.Role.CAMERA, now_ms=now_ms()))
                for name in names
            ]
        )
    finally:
        database.close()


def seen(control_url: str, since: int) -> list[dict[str, Any]]:
    """Return the stand-in's records of requests after a number."""
    with urllib.request.urlopen(f"{control_url}/_control?since={since}", timeout=10) as answer:
        return json.load(answer)["requests"]


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
