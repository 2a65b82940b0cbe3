"""The whole thing as its owner runs it: real processes, real signals, on loopback and free ports."""

import asyncio
import ftplib
import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from aperture.contract.ids import new_photo_id
from simulator.discord.faults import Fault
from simulator.discord.ledger import Message
from simulator.discord.stand_in import DiscordStandIn

SCRUBBED = {name: value for name, value in os.environ.items() if not name.startswith("APERTURE_")}
READY_S = 30.0


def until(condition: Callable[[], Any], what: str, timeout_s: float = READY_S) -> Any:
    """Return what `condition` gives once that is true; fail after the time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(ConnectionError, httpx.TransportError, ftplib.Error, EOFError):
            result = condition()
            if result:
                return result
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {timeout_s} s")


@dataclass
class Aperture:
    """One `aperture …` process and what it says of itself."""

    folder: Path
    command: str = "up"
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    sessions: list[ftplib.FTP] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def output(self) -> str:
        return (self.folder / f"{self.command}.out").read_text()

    @property
    def run(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "run.json").read_text())

    def start(self) -> None:
        ports = {
            f"APERTURE_{part}__{what}": value
            for part in ("MQTT", "FTP", "API")
            for what, value in (("HOST", "127.0.0.1"), ("PORT", "0"))
        }
        with (self.folder / f"{self.command}.out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *self.command.split()],
                cwd=self.folder,
                env={**SCRUBBED, "APERTURE_DATA_DIR": str(self.data_dir), **ports, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        if self.command in {"up", "demo"}:
            until(self.is_ready, f"aperture {self.command} is ready; it said:\n{self.output}")

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output
        return (self.data_dir / "run.json").exists() and self.run["pid"] == self.process.pid

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        """Cut its power."""
        assert self.process is not None
        orphans = self.children()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        _, alive = psutil.wait_procs(orphans, timeout=10)
        assert alive == [], "a killed server leaves nothing behind"

    def stop(self) -> int:
        """End it as its owner does."""
        for session in self.sessions:
            session.close()
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end:\n{self.output}") from None

    def owner_runs(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `aperture` on its data, as its owner does."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "--data-dir", str(self.data_dir), *arguments],
            cwd=self.folder,
            env=SCRUBBED,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def cli(self, *arguments: str) -> Any:
        done = self.owner_runs(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def http(self, role: str = "operator") -> httpx.Client:
        token = self.cli("token", "create", f"test-{new_photo_id()}", "--role", role)["token"]
        return httpx.Client(base_url=self.run["api"]["url"], headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def ftp(self, camera: dict[str, Any]) -> ftplib.FTP:
        """Log in, as soon as the running server has taken the account in."""

        def login() -> ftplib.FTP:
            ftp = ftplib.FTP()
            try:
                ftp.connect("127.0.0.1", self.run["ftp"]["port"], timeout=20)
                ftp.login(camera["camera"], camera["token"])
            except (ftplib.Error, OSError, EOFError):
                ftp.close()
                raise
            self.sessions.append(ftp)
            return ftp

        return until(login, "the camera logs in by FTP")


@pytest.fixture
def aperture(tmp_path: Path):
    """Return a function that makes an `aperture` process; all are ended afterwards."""
    made: list[Aperture] = []

    def make(command: str = "up", folder: Path = tmp_path, **environment: str) -> Aperture:
        one = Aperture(folder, command, environment)
        made.append(one)
        return one

    yield make
    for one in reversed(made):
        one.stop()
    for one in made:
        assert not re.search("^Traceback", one.output, re.MULTILINE), one.output  # a camera may tell of one of its own


class Discord:
    """The stand-in on an event loop of its own thread, so that tests may block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stand_in = DiscordStandIn()
        self._await(self._stand_in.__aenter__)
        self.webhook_url = self._stand_in.webhook_url()
        self.api_base = self._stand_in.api_base

    @property
    def messages(self) -> list[Message]:
        return self._call(lambda: list(self._stand_in.messages))

    def misbehave(self, fault: Fault) -> None:
        self._call(lambda: self._stand_in.misbehave(fault))

    def heal(self) -> None:
        self._call(self._stand_in.heal)

    def go_down(self) -> None:
        self._await(self._stand_in.go_down)

    def come_back(self) -> None:
        self._await(self._stand_in.come_back)

    def close(self) -> None:
        self._await(lambda: self._stand_in.__aexit__(None, None, None))
        self._await(self._end_tasks)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end_tasks(self) -> None:
        """As `asyncio.run` does."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    def _call(self, work: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return work()

        return self._await(run)

    def _await(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)


@pytest.fixture
def discord():
    stand_in = Discord()
    yield stand_in
    stand_in.close()


@pytest.fixture
def webhook(discord: Discord) -> dict[str, str]:
    """The settings that post to the stand-in."""
    return {
        "APERTURE_DISCORD__WEBHOOK_URL": discord.webhook_url,
        "APERTURE_DISCORD__API_BASE": discord.api_base,
        "APERTURE_DISCORD__CHANNEL_PER_MINUTE": "6000",  # the stand-in has no limits of its own
    }


@pytest.fixture
def jpeg():
    """Return a function that draws a new JPEG each time."""

    def draw() -> bytes:
        file = io.BytesIO()
        Image.frombytes("RGB", (64, 48), random.randbytes(64 * 48 * 3)).save(file, "JPEG")
        return file.getvalue()

    return draw


def upload(ftp: ftplib.FTP, data: bytes, photo: str | None = None) -> str:
    """Upload as the firmware does, and return the photo's id."""
    photo = photo or new_photo_id()
    ftp.sendcmd(f"SITE SHA256 {hashlib.sha256(data).hexdigest()}")
    ftp.sendcmd(f"ALLO {len(data)}")
    assert ftp.storbinary(f"STOR {photo}.jpg", io.BytesIO(data)).startswith("226")
    return photo


@pytest.fixture(name="upload")
def _upload():
    return upload


@pytest.fixture(name="until")
def _until():
    return until
