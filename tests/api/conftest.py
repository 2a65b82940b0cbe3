"""A real server on a free port of the loopback, on a real SQLite file, with real JPEGs."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

import api
from aperture.clock import now_ms
from aperture.commands import Commands
from aperture.contract.ids import new_photo_id
from aperture.contract.messages import Manifest
from aperture.hints import Hints
from aperture.settings import ApiSettings, Settings
from aperture.store import accounts, mailbox, photos
from aperture.store.accounts import Role
from aperture.store.blobs import Arrival, LocalBlobs
from aperture.store.database import Database, sqlite_url


def _jpeg(width: int = 640, height: int = 480, *, seed: int = 1, orientation: int | None = None, **save: Any) -> bytes:
    image = Image.radial_gradient("L").resize((width, height)).rotate(seed * 7).convert("RGB")
    image.putpixel((0, 0), (seed % 256, 0, 0))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    out = BytesIO()
    image.save(out, "JPEG", quality=90, exif=exif, **save)
    return out.getvalue()


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    return _jpeg


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with its tables: copied for each test, as migrating takes longer than most of them."""
    path = tmp_path_factory.mktemp("template") / "aperture.db"
    Database.open(sqlite_url(path)).close()
    return path


@dataclass
class Archive:
    """The server's parts, and what a bridge and a broker would write."""

    settings: Settings
    database: Database
    blobs: LocalBlobs
    hints: Hints
    commands: Commands
    app: Any
    health: dict[str, str | None] = field(default_factory=dict)
    url: str = ""
    port: int = 0
    secrets: dict[str, str] = field(default_factory=dict)

    def client(self, who: str | None = "operator", **more: Any) -> httpx.AsyncClient:
        headers = {} if who is None else {"Authorization": f"Bearer {self.secrets[who]}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, **more)

    def add_camera(self, name: str = "cam", *, ftp_only: bool = False) -> None:
        self.database.write(
            lambda one: accounts.add(one, name=name, role=Role.CAMERA, now_ms=now_ms(), ftp_only=ftp_only)
        )

    def store(self, data: bytes, *, camera: str = "cam", photo: str | None = None, at_ms: int | None = None) -> str:
        """Bring a photo's bytes in, as the broker does."""
        photo = photo or new_photo_id()
        at_ms = at_ms or now_ms()
        arrival = self.settings.data_dir / f"{photo}.arrival"
        arrival.write_bytes(data)
        if wrong := [error for error in self.blobs.adopt([Arrival(camera, photo, arrival)]) if error]:
            raise wrong[0]
        with Image.open(BytesIO(data)) as image:
            width, height = image.size
        received = photos.Received(
            camera=camera,
            photo=photo,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            width=width,
            height=height,
            upload_started_ms=at_ms - 200,
            received_ms=at_ms - 10,
            stored_ms=at_ms,
        )
        self.database.write(lambda one: photos.receive(one, received))
        self.hints.wake()
        return photo

    def announce(
        self, data: bytes, *, photo: str, command: str | None = None, camera: str = "cam", **more: Any
    ) -> None:
        """Bring a photo's manifest in, as the bridge does."""
        manifest = Manifest(
            photo=photo,
            seq=1,
            trigger="command" if command else "button",
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            command=command,
            **more,
        )

        def work(connection: Any) -> None:
            photos.announce(connection, camera=camera, manifest=manifest, now_ms=now_ms())
            mailbox.photographed(connection, camera=camera, manifest=manifest)

        self.database.write(work)
        self.hints.wake()


def _archive(root: Path, migrated: Path, version: str = "1.2.3") -> Archive:
    shutil.copy(migrated, root / "aperture.db")
    settings = Settings(data_dir=root, api=ApiSettings(public_url=None))
    database = Database.open(settings.database)
    blobs = LocalBlobs(root=settings.photos_dir)
    hints = Hints()
    commands = Commands(database=database, hints=hints)
    health: dict[str, str | None] = {}
    app = api.create_app(
        settings=settings,
        database=database,
        blobs=blobs,
        commands=commands,
        hints=hints,
        version=version,
        health=lambda: health,
    )
    archive = Archive(settings, database, blobs, hints, commands, app, health)
    for role in (Role.READER, Role.OPERATOR):
        archive.secrets[role] = database.write(
            lambda one, role=role: accounts.create_token(one, name=f"a-{role}", role=role, now_ms=now_ms())
        )[1]
    return archive


@asynccontextmanager
async def _running(archive: Archive) -> AsyncGenerator[asyncio.Task[None]]:
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        api.serve(archive.app, host="127.0.0.1", port=0, on_listening=listening.set_result), name="test-server"
    )
    try:
        async with asyncio.timeout(10):
            await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
        archive.port = listening.result()
        archive.url = f"http://127.0.0.1:{archive.port}"
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=10)


@pytest.fixture
def running() -> Callable[[Archive], Any]:
    return _running


@pytest.fixture
def stopped(tmp_path: Path, migrated: Path) -> Any:
    """An archive whose server is not running."""
    archive = _archive(tmp_path, migrated)
    yield archive
    archive.database.close()


@pytest.fixture
async def archive(stopped: Archive) -> AsyncGenerator[Archive]:
    """A running archive with a camera `cam`."""
    stopped.add_camera()
    async with _running(stopped):
        yield stopped


@pytest.fixture
async def operator(archive: Archive) -> AsyncGenerator[httpx.AsyncClient]:
    async with archive.client("operator") as client:
        yield client


@pytest.fixture
async def reader(archive: Archive) -> AsyncGenerator[httpx.AsyncClient]:
    async with archive.client("reader") as client:
        yield client


@pytest.fixture
async def stranger(archive: Archive) -> AsyncGenerator[httpx.AsyncClient]:
    async with archive.client(None) as client:
        yield client
