"""`aperture up` as its owner runs it, virtual cameras on it, and bundles of firmware that differ in what they do."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from aperture.bundles import Bundle
from aperture.clock import now_ms
from aperture.commands import Commands
from aperture.contract.messages import Do
from aperture.hints import Hints
from aperture.store import accounts, cameras
from aperture.store.accounts import Role
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database, sqlite_url
from aperture.store.mailbox import OPEN, Stored
from aperture.tls.files import TlsFiles
from simulator.available import why_not
from simulator.bundle import build
from simulator.camera import Power, VirtualCamera
from simulator.errors import LibraryError
from simulator.firmware import FIRMWARE
from simulator.libraries import ensure_libraries
from simulator.verdict import Verdict, judge

CACHE = Path(__file__).parents[2] / ".cache"
SCRUBBED = {name: value for name, value in os.environ.items() if not name.startswith("APERTURE_")}
PATIENCE_S = 90.0
_TAKEN = re.compile(r"^photo taken.* photo=(\w+)")
READY_S = 100.0


class Server:
    """`aperture up`, in a process of its own, and its store."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.folder, self.data_dir, self.tls = folder, folder / "data", tls
        self.firmware_dir = self.data_dir / "firmware"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        anywhere = {
            f"APERTURE_{part}__{what}": value
            for part in ("MQTT", "FTP", "API")
            for what, value in (("HOST", "127.0.0.1"), ("PORT", "0"))
        }
        if self.tls:
            anywhere |= {"APERTURE_MQTT__TLS_PORT": "0", "APERTURE_FTP__TLS": "require"}
            command = [sys.executable, "-m", "cli.main", "--data-dir", str(self.data_dir), "tls", "init"]
            subprocess.run(command, cwd=self.folder, env=SCRUBBED, check=True, capture_output=True, timeout=60)
        with (self.folder / "up.out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up"],
                cwd=self.folder,
                env={**SCRUBBED, "APERTURE_DATA_DIR": str(self.data_dir), **anywhere},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + READY_S
        while not (self.data_dir / "run.json").exists():
            assert self.process.poll() is None, (self.folder / "up.out").read_text()
            assert time.monotonic() < until, "never ready"
            time.sleep(0.05)
        self.database = Database.open(sqlite_url(self.data_dir / "aperture.db"))
        self.commands = Commands(database=self.database, hints=Hints(), firmware_dir=self.firmware_dir)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.database.close()
        assert "Traceback" not in (self.folder / "up.out").read_text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def run(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "run.json").read_text())

    async def cli(self, *arguments: str, status: int = 0) -> str:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", "--data-dir", str(self.data_dir), *arguments),
            cwd=self.folder,
            env=SCRUBBED,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = await asyncio.wait_for(program.communicate(), PATIENCE_S)
        assert program.returncode == status, said + complaint
        return (said if status == 0 or said else complaint).decode()

    async def ask(self, camera: str, do: Do = Do.UPDATE, **args: object) -> Stored:
        return await self.commands.make(camera=camera, do=do, origin="test", now_ms=now_ms(), args=args)

    async def ended(self, command: Stored) -> Stored:
        """Wait for the end of a command."""
        await eventually(lambda: self.look(command).state not in OPEN, f"the end of {command}")
        return self.look(command)

    def look(self, command: Stored) -> Stored:
        from aperture.store import mailbox

        known = self.database.read(lambda connection: mailbox.get(connection, command.id))
        assert known is not None
        return known

    async def update(self, camera: str, bundle: str) -> tuple[str, str | None]:
        """Have a camera updated. Returns (state, the error, or else the detail)."""
        ended = await self.ended(await self.ask(camera, bundle=bundle))
        return ended.state, ended.error or ended.detail

    def status(self, camera: str) -> dict[str, Any]:
        """What the camera said last of itself."""
        known = self.database.read(lambda connection: cameras.get(connection, camera))
        return (known and known.status) or {}

    def firmware(self, camera: str) -> str | None:
        """What it runs."""
        return self.status(camera).get("firmware")

    def settings(self, camera: str) -> dict[str, Any]:
        """What it is set to."""
        return self.status(camera).get("settings") or {}

    def presence(self, camera: str) -> str:
        known = self.database.read(lambda connection: cameras.get(connection, camera))
        assert known is not None
        return known.presence


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"never: {what}"
        await asyncio.sleep(0.01)


class Camera(VirtualCamera):
    """A camera whose lines are kept."""

    def __init__(self, server: Server, name: str, folder: Path, update_key: str | None, **more: Any) -> None:
        token = server.database.write(
            lambda connection: accounts.add(connection, name=name, role=Role.CAMERA, now_ms=now_ms())
        )
        known = server.database.read(lambda connection: accounts.update_key(connection, name))
        self.token = token
        ports = {
            "mqtt_port": server.run["mqtt"]["tls_port" if server.tls else "port"],
            "ftp_port": server.run["ftp"]["port"],
        }
        super().__init__(
            name=name,
            token=token,
            update_key=known if update_key is None else update_key,
            host="localhost" if server.tls else "127.0.0.1",
            folder=folder,
            cache=CACHE,
            ca=TlsFiles.of(server.data_dir).ca_der if server.tls else None,
            **{**ports, **more},
        )
        self.server = server
        self.cache = CACHE
        self.lines: list[str] = []
        self.listen(self.lines.append)

    @property
    def flash(self) -> Path:
        return self.folder / "flash"

    @property
    def slots(self) -> dict[str, Any]:
        return json.loads((self.flash / "slots.json").read_text())

    async def says(self, words: str, count: int = 1) -> None:
        """Wait for so many lines with these words in them."""
        await eventually(
            lambda: sum(words in line for line in self.lines) >= count, f"{words!r} x {count}, but {self.lines}"
        )

    def hasten(self, trial_ms: int) -> None:
        """Give trials another time than five minutes."""
        launcher = (self.flash / "main.py").read_text()
        assert "300_000" in launcher
        (self.flash / "main.py").write_text(launcher.replace("300_000", str(trial_ms)))

    async def is_known(self) -> None:
        """Wait until the broker takes the account: a camera that is refused takes its time to come again."""
        port, until = self.server.run["mqtt"]["port"], time.monotonic() + PATIENCE_S
        while True:
            try:
                async with aiomqtt.Client("127.0.0.1", port, username=self.name, password=self.token):
                    return
            except aiomqtt.MqttError:
                assert time.monotonic() < until, "the broker never takes it"
                await asyncio.sleep(0.05)

    async def is_well(self) -> None:
        """It is online and takes photos, and all that it ever took arrive, each once and whole."""
        before = len(self.kept)
        await eventually(lambda: self.power is Power.ON, "it has power")
        await self.press()
        await eventually(lambda: len(self.kept) > before, "the press is taken")
        await eventually(lambda: not self.waiting, "nothing waits")
        await eventually(lambda: self.verdict().stored >= len(self.kept), "all are stored")
        verdict = self.verdict()
        assert verdict.kept_the_promise, verdict

    def verdict(self) -> Verdict:
        blobs = LocalBlobs(root=self.server.data_dir / "photos")
        frames = {self.name: self.taken}
        return judge(database=self.server.database, blobs=blobs, taken={self.name: self.kept}, frames=frames)

    @property
    def kept(self) -> set[str]:
        """The ids of the photos that were on its card: a frame just before a power cut may not have come so far."""
        return {found[1] for line in self.lines if (found := _TAKEN.search(line))}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a worker; each test has cameras and bundles of its own."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    try:
        ensure_libraries(CACHE)
    except LibraryError as error:
        pytest.skip(str(error))
    yield from _running(Server(tmp_path_factory.mktemp("server")))


def _running(server: Server) -> Iterator[Server]:
    """Run it, and leave nothing behind when it is never ready."""
    try:
        server.start()
    except BaseException:
        server.kill()
        raise
    yield server
    server.stop()


@pytest.fixture
def tls_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """One that talks TLS only with cameras."""
    yield from _running(Server(tmp_path, tls=True))


MakeCamera = Callable[..., Awaitable[Camera]]


@pytest.fixture
async def make_camera(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[MakeCamera]:
    """Make a camera that is online; its name is the test's own."""
    async with AsyncExitStack() as stack:

        async def make(*, update_key: str | None = None, on: Server = server, **more: Any) -> Camera:
            name = f"cam-{abs(hash((request.node.name, time.time_ns()))) % 10**9}"
            camera = Camera(on, name, tmp_path / name, update_key, **more)
            await camera.is_known()
            await stack.enter_async_context(camera)
            await camera.says("mqtt up")
            await eventually(lambda: on.firmware(name) is not None, f"{name} is known")
            return camera

        yield make


@pytest.fixture
async def camera(make_camera: MakeCamera) -> Camera:
    return await make_camera()


MakeBundle = Callable[..., Bundle]


@pytest.fixture
def make_bundle(server: Server, tmp_path: Path) -> MakeBundle:
    """Build the firmware under another version, with pieces of text replaced: `{"aa/mqtt.py": (old, new)}`."""

    def make(
        version: str,
        edits: dict[str, tuple[str, str]] | None = None,
        *,
        compiled: bool = False,
        on: Server = server,
    ) -> Bundle:
        source = tmp_path / f"source-{version}"
        shutil.copytree(FIRMWARE, source, ignore=shutil.ignore_patterns("__pycache__"))
        for path, (old, new) in (edits or {}).items():
            text = (source / path).read_text()
            assert text.count(old) == 1, f"{path}: {old}"
            (source / path).write_text(text.replace(old, new))
        return build(on.firmware_dir, version=version, compiled=compiled, source=source)

    return make


@pytest.fixture(name="eventually")
def _eventually() -> Callable[[Callable[[], object], str], Awaitable[None]]:
    return eventually
