"""A real mosquitto, the Discord stand-in, a database and photos in a folder, and a bridge between them."""

import asyncio
import hashlib
import io
import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from PIL import Image
from sqlalchemy import select

from aperture.clock import now_ms
from aperture.commands import Commands
from aperture.contract.ids import new_photo_id
from aperture.contract.links import Links
from aperture.contract.topics import Topics
from aperture.hints import Hints
from aperture.settings import DiscordSettings, Settings
from aperture.store import accounts, gallery, photos, schema
from aperture.store.accounts import Role
from aperture.store.blobs import Arrival, LocalBlobs
from aperture.store.database import Database
from aperture.store.photos import Received
from bridge.mqtt.link import MqttEndpoint
from bridge.service import Bridge
from bridge.tuning import Tuning
from simulator.discord.stand_in import DiscordStandIn

CAMERA = "front-door"
TOPICS = Topics()
QUICK = Tuning(
    poll_s=0.05,
    tick_s=0.05,
    reconnect_first_s=0.05,
    reconnect_most_s=0.2,
    retry_first_ms=100,
    retry_most_ms=400,
    unreachable_most_ms=200,
    lane_patience_s=0.3,
    lease_ms=1_500,
    finish_s=1.0,
    resend_after_ms=300,
)


@pytest.fixture
def topics() -> Topics:
    return TOPICS


@pytest.fixture
def quick() -> Tuning:
    return QUICK


class Broker:
    """A mosquitto of the test's own, which can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._conf = folder / "mosquitto.conf"
        self._conf.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", str(self._conf)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise TimeoutError("mosquitto did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def discord() -> AsyncIterator[DiscordStandIn]:
    async with DiscordStandIn() as stand_in:
        yield stand_in


def jpeg(number: int = 0, *, width: int = 64, noise: bool = False) -> bytes:
    """A real JPEG; another one for each number."""
    size = (width, width * 3 // 4)
    if noise:
        image = Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3))
    else:
        image = Image.new("RGB", size, (number % 256, number // 256 % 256, 90))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue() + number.to_bytes(4)


@dataclass
class Photo:
    id: str
    camera: str
    data: bytes = field(repr=False)
    sha256: str

    def manifest(self, **more: Any) -> bytes:
        facts = {"photo": self.id, "seq": 1, "trigger": "touch", "bytes": len(self.data), "sha256": self.sha256}
        return json.dumps({**facts, **more}).encode()


class Archive:
    """The store as the FTP server leaves it, and what tests ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database.open(f"sqlite:///{folder / 'aperture.db'}")
        self.blobs = LocalBlobs(root=folder / "photos")
        self.hints = Hints()
        self.commands = Commands(database=self.database, hints=self.hints)
        self._numbers = itertools.count(1)
        self.add_camera(CAMERA)

    def add_camera(self, name: str) -> None:
        self.database.write(lambda connection: accounts.add(connection, name=name, role=Role.CAMERA, now_ms=now_ms()))

    def new_photo(self, *, camera: str = CAMERA, data: bytes | None = None) -> Photo:
        data = data or jpeg(next(self._numbers))
        return Photo(new_photo_id(), camera, data, hashlib.sha256(data).hexdigest())

    def store(self, photo: Photo, *, hint: bool = True, received_ms: int | None = None) -> bool:
        """Do what the FTP server does between the last byte and its 226."""
        source = self.folder / f"{photo.id}.part"
        source.write_bytes(photo.data)
        assert self.blobs.adopt([Arrival(photo.camera, photo.id, source)]) == [None]
        with Image.open(self.blobs.path(photo.camera, photo.id)) as image:
            width, height = image.size
        at_ms = received_ms or now_ms()
        received = Received(
            camera=photo.camera,
            photo=photo.id,
            bytes=len(photo.data),
            sha256=photo.sha256,
            width=width,
            height=height,
            upload_started_ms=at_ms,
            received_ms=at_ms,
            stored_ms=at_ms,
        )
        news = self.database.write(lambda connection: photos.receive(connection, received))
        if hint:
            self.hints.wake()
        return news

    def record(self, photo: Photo) -> Any:
        return self.database.read(lambda connection: gallery.record(connection, photo.id, links=Links()))

    def delivery(self, photo: Photo) -> Any:
        query = select(schema.delivery).where(schema.delivery.c.photo == photo.id)
        return self.database.read(lambda connection: connection.execute(query).one_or_none())

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    yield archive
    archive.close()


async def until(holds: Callable[[], Any], *, timeout_s: float = 30.0) -> Any:
    """Wait for a condition, and return what it became."""
    async with asyncio.timeout(timeout_s):
        while not (found := holds()):  # noqa: ASYNC110 - rows have no event to wait for
            await asyncio.sleep(0.005)
        return found


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


def settings_for(folder: Path, stand_in: DiscordStandIn | None, **more: Any) -> Settings:
    given = {"webhook_url": stand_in.webhook_url(), "api_base": stand_in.api_base} if stand_in else {}
    own = more.pop("discord", {})
    merged = DiscordSettings.model_validate({"channel_per_minute": 6000, **given, **own})
    return Settings(data_dir=folder, discord=merged, **more)


@dataclass
class Home:
    """Everything together: `async with home.bridge(): …`."""

    archive: Archive
    broker: Broker
    discord: DiscordStandIn
    folder: Path
    endpoint: MqttEndpoint | None = None

    def make(self, *, tuning: Tuning = QUICK, webhook: bool = True, **more: Any) -> Bridge:
        archive = self.archive
        return Bridge(
            settings=settings_for(self.folder, self.discord if webhook else None, **more),
            database=archive.database,
            blobs=archive.blobs,
            commands=archive.commands,
            hints=archive.hints,
            mqtt=self.endpoint
            or MqttEndpoint(host="127.0.0.1", port=self.broker.port, username="bridge", password="secret"),
            version="1.2.3",
            tuning=tuning,
        )

    @asynccontextmanager
    async def bridge(self, **more: Any) -> AsyncIterator[Bridge]:
        bridge = self.make(**more)
        async with running(bridge):
            async with asyncio.timeout(5):
                await bridge.ready.wait()
            yield bridge


@asynccontextmanager
async def running(bridge: Bridge) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(bridge.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and task.exception():
        raise task.exception()


@pytest.fixture(name="running")
def _running() -> Callable[..., Any]:
    return running


@pytest.fixture
def home(archive: Archive, broker: Broker, discord: DiscordStandIn, tmp_path: Path) -> Home:
    return Home(archive, broker, discord, tmp_path)


class Camera:
    """One camera's MQTT, with what it was told."""

    def __init__(self, client: aiomqtt.Client, name: str) -> None:
        self.client = client
        self.name = name
        self.heard: list[tuple[str, Any, bool]] = []

    async def say(self, kind: str, body: bytes | str | dict[str, Any], *, retain: bool = False) -> None:
        data = json.dumps(body) if isinstance(body, dict) else body
        await self.client.publish(TOPICS.of(self.name, kind), data, qos=1, retain=retain)

    def told(self, kind: str) -> list[Any]:
        return [body for topic, body, _ in self.heard if topic == TOPICS.of(self.name, kind)]

    def kept(self, topic: str) -> list[Any]:
        return [body for at, body, retained in self.heard if at == topic and retained]

    async def listen(self) -> None:
        async for message in self.client.messages:
            body = json.loads(message.payload) if message.payload[:1] == b"{" else message.payload.decode()
            self.heard.append((str(message.topic), body, message.retain))


@asynccontextmanager
async def camera_on(port: int, name: str = CAMERA, *, online: bool = True) -> AsyncIterator[Camera]:
    will = aiomqtt.Will(TOPICS.of(name, "presence"), "offline", qos=1, retain=True)
    async with aiomqtt.Client("127.0.0.1", port, will=will if online else None) as client:
        camera = Camera(client, name)
        for kind in ("command", "ack", "photo"):
            await client.subscribe(TOPICS.of(name, kind), qos=1)
        await client.subscribe(TOPICS.server_status, qos=1)
        ears = asyncio.create_task(camera.listen())
        if online:
            await camera.say("presence", "online", retain=True)
        try:
            yield camera
        finally:
            ears.cancel()
            await asyncio.gather(ears, return_exceptions=True)


@pytest.fixture(name="camera_on")
def _camera_on(broker: Broker) -> Callable[..., Any]:
    return lambda name=CAMERA, **more: camera_on(broker.port, name, **more)


@pytest.fixture(name="jpeg")
def _jpeg() -> Callable[..., bytes]:
    return jpeg


@pytest.fixture
def make_home(archive: Archive, broker: Broker, tmp_path: Path) -> Callable[[DiscordStandIn], Home]:
    return lambda discord: Home(archive, broker, discord, tmp_path)
