"""An FTP server that does as it is told, and what the tests of the links look at."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aperture.clock import now_ms
from aperture.settings import FtpSettings
from aperture.store import accounts, photos
from aperture.store.accounts import Role
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database, sqlite_url
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.ftp import FtpServer
from simulator.camera import waiting_photos

_REPLIES = {
    "USER": "331 password",
    "PASS": "230 in",
    "TYPE": "200 binary",
    "FEAT": "211-Extensions\r\n SITE SHA256\r\n211 End",
    "SITE": "200 noted",
    "ALLO": "200 noted",
    "REST": "350 go on",
    "NOOP": "200 here",
    "STOR": "150 go",
    "END": "226 stored",
}


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and be sure that it is."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class RawFtp:
    """Takes photos as our server does. `instead[word]` are replies to be given in place of its own, one at a time.

    After a reply of 421 it closes. `sessions` counts control connections.
    """

    def __init__(self) -> None:
        self.instead: dict[str, list[str]] = defaultdict(list)
        self.photos: dict[str, bytes] = {}
        self.commands: list[str] = []
        self.sessions = self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.sessions += 1
        try:
            with contextlib.suppress(OSError):
                await Session(self, reader, writer).run()
        finally:
            await closed(writer)
            self._tasks.discard(task)

    def reply_to(self, word: str) -> str:
        return self.instead[word].pop(0) if self.instead[word] else _REPLIES.get(word, "500 what?")

    @property
    def is_quiet(self) -> bool:
        """Whether all that was to be said instead has been said."""
        return not any(self.instead.values())


class Session:
    """One control connection."""

    def __init__(self, ftp: RawFtp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ftp, self._reader, self._writer = ftp, reader, writer
        self._passive: asyncio.Server | None = None
        self._data: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    async def run(self) -> None:
        try:
            if not await self._say(self._ftp.instead["greeting"].pop(0) if self._ftp.instead["greeting"] else "220 hi"):
                return
            while line := (await self._reader.readline()).decode().strip():
                self._ftp.commands.append(line)
                if not await self._answer(*[*line.split(maxsplit=1), ""][:2]):
                    return
        finally:
            await self._close_data()

    async def _say(self, reply: str) -> bool:
        self._writer.write(reply.encode("latin-1") + b"\r\n")
        await self._writer.drain()
        return not reply.startswith("421")

    async def _answer(self, word: str, rest: str) -> bool:
        if word == "SIZE":
            have = self._ftp.photos.get(rest)
            return await self._say(f"213 {len(have)}" if have is not None else "550 none")
        if word == "EPSV" and not self._ftp.instead["EPSV"]:
            return await self._say(f"229 here (|||{await self._listen()}|)")
        reply = self._ftp.reply_to(word)
        if word == "STOR" and reply.startswith("1"):
            return await self._say(reply) and await self._receive(rest)
        if word == "STOR":
            await self._close_data()
        return await self._say(reply)

    async def _receive(self, name: str) -> bool:
        reader, writer = await self._data
        data = await reader.read()
        await closed(writer)
        reply = self._ftp.reply_to("END")
        if reply.startswith("2"):
            self._ftp.photos[name] = data
        return await self._say(reply)

    async def _listen(self) -> int:
        await self._close_data()
        self._data = asyncio.get_running_loop().create_future()
        data = self._data

        async def accept(*pair: Any) -> None:
            if data.done() or self._data is not data or self._passive is None:  # nobody waits for it any more
                await closed(pair[1])
            else:
                data.set_result(pair)

        self._passive = await asyncio.start_server(accept, "127.0.0.1", 0)
        return int(self._passive.sockets[0].getsockname()[1])

    async def _close_data(self) -> None:
        if self._passive is not None:
            self._passive.close()
            self._passive = None
            if self._data.done():
                await closed(self._data.result()[1])


class House:
    """Our own FTP server with an account for `cam`, whose token is `token`; `tls` as in the settings."""

    def __init__(self, root: Path, files: TlsFiles, tls: str) -> None:
        self._database = Database.open(sqlite_url(root / "house.db"))
        self._blobs = LocalBlobs(root=root / "photos")
        self._server = FtpServer(
            settings=FtpSettings(host="127.0.0.1", port=0, tls=tls),
            database=self._database,
            blobs=self._blobs,
            partial_dir=root / "partial",
            firmware_dir=root / "firmware",
            tls_files=files,
            on_stored=lambda: None,
        )
        self._server.start()
        self.port = self._server.port
        self.token = self._database.write(
            lambda connection: accounts.add(connection, name="cam", role=Role.CAMERA, now_ms=now_ms())
        )

    def stored(self, photo: str) -> bytes | None:
        known = self._database.read(lambda connection: photos.expected(connection, photo))
        return self._blobs.read("cam", photo) if known is not None and known.stored_bytes is not None else None

    def close(self) -> None:
        self._server.stop()
        self._database.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A CA, and a certificate for this machine's loopback."""
    files = TlsFiles(tmp_path_factory.mktemp("certificate") / "tls")
    authority.init(files, hosts=["localhost", "127.0.0.1", "server.test"])
    return files


@pytest.fixture
def make_house(tmp_path: Path, certificate: TlsFiles) -> Iterator[Callable[[str], House]]:
    """Start our own FTP server, with TLS `off` or `require`."""
    houses: list[House] = []

    def make(tls: str = "off") -> House:
        root = tmp_path / "house"
        (root / "firmware").mkdir(parents=True)
        houses.append(House(root, certificate, tls))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.fixture
async def raw_ftp() -> AsyncIterator[RawFtp]:
    ftp = RawFtp()
    await ftp.start()
    yield ftp
    await ftp.stop()


@pytest.fixture
def pid_of() -> Callable[[Any], int]:
    """The process of a virtual camera: a reset gives it another."""
    return lambda camera: camera._process.pid


@pytest.fixture
def waiting() -> Callable[[Any], list[Any]]:
    """What waits on a virtual camera's card: the pictures."""
    return lambda camera: waiting_photos(camera.folder / "card")
