"""A virtual camera with real servers around it: mosquitto, and a stock pyftpdlib in a process of its own."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from simulator.available import why_not
from simulator.camera import VirtualCamera
from simulator.errors import LibraryError
from simulator.libraries import ensure_libraries

CACHE = Path(__file__).parents[2] / ".cache"
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
_PATIENCE_S = 30.0


_PORTS = itertools.count(21_000 + 500 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))


def free_port() -> int:
    """Return a free port that nobody else is given: below the ephemeral ones, in a range of this worker's own.

    A server that is stopped and started again needs the same port twice, so that port 0 won't do.
    """
    while True:
        port = next(_PORTS)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def spare_port() -> int:
    """A port that nobody uses."""
    return free_port()


async def eventually(condition: Callable[[], bool], what: str, patience_s: float = _PATIENCE_S) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


class Server:
    """A program that serves on one port, and can be stopped and started again."""

    def __init__(self, port: int, *command: str) -> None:
        self.port = port
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *more: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, *more, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                _, writer = await asyncio.open_connection(more[0] if more else "127.0.0.1", self.port)
            except OSError:
                assert time.monotonic() < deadline, f"never up: {self._command}"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


class Ears:
    """Hears everything on the broker, and answers manifests as the server would, unless `acks` is off."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard: list[tuple[str, bytes, bool]] = []
        self.acks = True
        self.listening = True
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()

    async def run(self) -> None:
        while self.listening:  # aiomqtt may turn a cancellation into an error of its own
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", self.port) as self._client:
                    await self._client.subscribe("aperture/#")
                    self._connected.set()
                    async for message in self._client.messages:
                        await self._hear(message)
            self._connected.clear()
            await asyncio.sleep(0.1)

    async def _hear(self, message: aiomqtt.Message) -> None:
        kind = str(message.topic).rpartition("/")[2]
        assert isinstance(message.payload, bytes)
        self.heard.append((kind, message.payload, message.retain))
        if kind == "shutter" and self.acks:
            await self.say("ack", photo=json.loads(message.payload)["photo"], state="announced")

    async def say(self, kind: str, *, retained: bool = False, **fields: object) -> None:
        await self._connected.wait()
        assert self._client is not None
        body = json.dumps({"now_ms": time.time_ns() // 1_000_000, **fields})
        await self._client.publish(f"aperture/cam/{kind}", body, qos=1, retain=retained)

    async def command(self, ident: str, do: str, **args: object) -> None:
        await self.say("command", id=ident, do=do, args=args, expires_at_ms=time.time_ns() // 1_000_000 + 20_000)

    def bodies(self, kind: str) -> list[bytes]:
        return [body for one, body, _ in self.heard if one == kind]

    def objects(self, kind: str) -> list[dict[str, object]]:
        return [json.loads(body) for body in self.bodies(kind)]

    async def hears(self, kind: str, count: int = 1) -> list[dict[str, object]]:
        """Wait for so many messages of a kind, and return all of them."""
        await eventually(lambda: len(self.bodies(kind)) >= count, f"{count} of {kind}, but {self.heard}")
        return self.objects(kind)

    async def hears_presence(self, word: bytes, count: int = 1) -> None:
        await eventually(
            lambda: self.bodies("presence").count(word) >= count, f"presence {word!r}: {self.bodies('presence')}"
        )


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where photos arrive."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
async def ftp(uploads: Path) -> AsyncIterator[Server]:
    """A stock pyftpdlib."""
    port = free_port()
    script = Path(__file__).parent / "stock_ftp.py"
    server = Server(port, sys.executable, "-W", "ignore", str(script), str(uploads), str(port))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Server]:
    """An anonymous mosquitto without persistence: after a restart it has forgotten everything."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    server = Server(port, MOSQUITTO, "-c", str(config))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def ears(broker: Server) -> AsyncIterator[Ears]:
    """Who plays the server on the broker."""
    ears = Ears(broker.port)
    task = asyncio.create_task(ears.run())
    yield ears
    ears.listening = False
    while not task.done():  # Python 3.11's wait_for may swallow a cancellation
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the MicroPython libraries are."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    try:
        ensure_libraries(CACHE)
    except LibraryError as error:
        pytest.skip(str(error))
    return CACHE


MakeCamera = Callable[..., Awaitable[VirtualCamera]]


@pytest.fixture
async def make_camera(cache: Path, tmp_path: Path, broker: Server, ftp: Server) -> AsyncIterator[MakeCamera]:
    """Make the camera `cam` and give it power."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**more: Any) -> VirtualCamera:
            usual = {
                "folder": tmp_path / "camera",
                "token": "secret",
                "host": "127.0.0.1",
                "mqtt_port": broker.port,
                "ftp_port": ftp.port,
            }
            camera = VirtualCamera(name="cam", cache=cache, **{**usual, **more})
            return await stack.enter_async_context(camera)

        yield make


@pytest.fixture
async def camera(make_camera: MakeCamera, ears: Ears) -> VirtualCamera:
    """The camera `cam`, online."""
    camera = await make_camera()
    await ears.hears_presence(b"online")
    return camera


@pytest.fixture
def soon() -> Callable[..., Awaitable[None]]:
    """`await soon(condition, what)`."""
    return eventually
