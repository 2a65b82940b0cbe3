"""A real server on loopback, cameras that speak FTP by hand where a library would be too polite, and drawn photos."""

import contextlib
import ftplib
import hashlib
import io
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from PIL import Image, ImageDraw

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.settings import FtpSettings
from aperture.store import accounts, events, photos
from aperture.store.accounts import Role
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database, sqlite_url
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.ftp import FtpServer

DEADLINE_S = 10


def draw(width: int = 320, height: int = 240, *, seed: int = 1, quality: int = 85, **options) -> bytes:
    """A JPEG with a picture in it that depends on the seed."""
    rng = random.Random(seed)
    image = Image.effect_noise((width, height), 60 + seed % 30).convert("RGB")
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        box = sorted(rng.sample(range(width), 2)), sorted(rng.sample(range(height), 2))
        pen.ellipse((box[0][0], box[1][0], box[0][1], box[1][1]), fill=tuple(rng.randbytes(3)))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


def with_thumbnail(photo: bytes, thumbnail: bytes) -> bytes:
    """Put an EXIF segment with a thumbnail, which is a JPEG with an end marker of its own, into a photo."""
    ifd0 = struct.pack("<HI", 0, 14)  # no entries; IFD1 follows
    entries = ((0x0103, 3, 1, 6), (0x0201, 4, 1, 14 + 42), (0x0202, 4, 1, len(thumbnail)))
    ifd1 = struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + ifd0 + ifd1 + thumbnail
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + photo[2:]


class Shaken:
    """A data connection under TLS: hands are shaken when there is something to send, as a camera does after STOR."""

    def __init__(self, plain: socket.socket, trust: ssl.SSLContext) -> None:
        self.plain, self.trust = plain, trust
        self.secured: ssl.SSLSocket | None = None
        self.polite = True

    def shake(self) -> ssl.SSLSocket:
        if self.secured is None:
            self.plain.getpeername()  # refused already?
            self.secured = self.trust.wrap_socket(self.plain, server_hostname="localhost", suppress_ragged_eofs=False)
        return self.secured

    def sendall(self, data: bytes) -> None:
        self.shake().sendall(data)

    def setsockopt(self, *option) -> None:
        """Set an option; it is SO_LINGER, and whoever resets a connection says no good-bye."""
        self.polite = False
        (self.secured or self.plain).setsockopt(*option)

    def fileno(self) -> int:
        return (self.secured or self.plain).fileno()

    def close(self) -> None:
        """Say that this is the end, and close."""
        if self.secured is None:
            self.plain.close()
            return
        if self.polite:
            with contextlib.suppress(OSError, ValueError):
                self.secured.unwrap().close()
        self.secured.close()

    def cut(self) -> None:
        """Close as a camera does, and as whoever cuts a connection: a FIN, and no close_notify."""
        self.shake()
        self.polite = False
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Wire:
    """A camera's control connection, byte by byte; with `trust`, under TLS."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", trust: ssl.SSLContext | None = None) -> None:
        self.port, self.trust = port, trust
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        try:
            self.greeting = self.reply()
            if trust is not None:
                self.go_over(trust)
        except OSError:
            self.close()
            raise

    def go_over(self, trust: ssl.SSLContext) -> None:
        """AUTH TLS, PBSZ and PROT P."""
        assert self.ask("AUTH TLS").startswith("234")
        self.lines.close()
        self.socket = trust.wrap_socket(self.socket, server_hostname="localhost")
        self.lines = self.socket.makefile("rb")
        assert self.ask("PBSZ 0", "PROT P").startswith("200")

    def reply(self) -> str:
        """The next reply, its last line if it has several."""
        line = self.lines.readline()
        while line[3:4] == b"-" or line[:1] == b" ":
            line = self.lines.readline()
        return line.decode().rstrip("\r\n")

    def lines_to_come(self, most: int) -> list[bytes]:
        """The next lines, fewer when the server closes."""
        return [line for line in (self.lines.readline() for _ in range(most)) if line]

    def send(self, *commands: str) -> None:
        self.socket.sendall("".join(f"{command}\r\n" for command in commands).encode())

    def ask(self, *commands: str) -> str:
        """Send commands in one write; return the last reply."""
        self.send(*commands)
        return [self.reply() for _ in commands][-1]

    def login(self, name: str, secret: str) -> "Wire":
        assert self.ask(f"USER {name}", f"PASS {secret}").startswith("230")
        assert self.ask("TYPE I").startswith("200")
        return self

    def settle(self) -> None:
        """Wait until the server has accepted what has connected: its loop has been around twice."""
        for _ in range(2):
            assert self.ask("NOOP").startswith("200")

    def data(self, *, source: str = "127.0.0.1") -> "socket.socket | Shaken":
        """Open a data connection."""
        return self.connect(self.passive_port(), source=source)

    def passive_port(self) -> int:
        reply = self.ask("EPSV")
        assert reply.startswith("229"), reply
        return int(reply.split("|")[3])

    def connect(self, port: int, *, source: str = "127.0.0.1") -> "socket.socket | Shaken":
        """Connect to a passive port."""
        plain = socket.create_connection(("127.0.0.1", port), DEADLINE_S, source_address=(source, 0))
        return plain if self.trust is None else Shaken(plain, self.trust)

    def put(self, command: str, data: bytes, *, said: bool = True, sha256: str | None = None) -> str:
        """Upload as the firmware does; return the last reply."""
        if said:
            self.ask(f"SITE SHA256 {sha256 or hashlib.sha256(data).hexdigest()}", f"ALLO {len(data)}")
        return self.put_part(command, data)

    def put_part(self, command: str, data: bytes, *, reset: bool = False) -> str:
        """Send these bytes and close; return the reply that ends it."""
        connection = self.data()
        if reset:
            self.settle()  # a connection that is reset before it is accepted has nothing to tell
        self.send(command)
        first = self.reply()
        with contextlib.suppress(OSError):
            connection.sendall(data)
        if reset:
            self.until_taken(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return self.reply() if first[0] == "1" else first

    @staticmethod
    def until_taken(connection: "socket.socket | Shaken") -> None:
        """Wait until the peer has acknowledged all that was sent (TIOCOUTQ), as a reset would drop the rest."""
        import fcntl

        until(lambda: struct.unpack("i", fcntl.ioctl(connection, 0x5411, b"\0\0\0\0"))[0] == 0)

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


def until(condition: Callable[[], object], *, timeout_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fail when it does not come."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@dataclass
class House:
    """A server, its store, and accounts for it."""

    root: Path
    settings: FtpSettings
    hints: list[int] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    tls_files: TlsFiles | None = None
    server: FtpServer = None

    def __post_init__(self) -> None:
        self.database = Database.open(sqlite_url(self.root / "aperture.db"))
        self.blobs = LocalBlobs(root=self.root / "photos")
        self.partial_dir = self.root / "partial"
        self.firmware_dir = self.root / "firmware"
        self.firmware_dir.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        self.server = FtpServer(
            settings=self.settings,
            database=self.database,
            blobs=self.blobs,
            partial_dir=self.partial_dir,
            firmware_dir=self.firmware_dir,
            tls_files=self.tls_files,
            on_stored=lambda: self.hints.append(1),
        )
        self.server.start()

    def account(self, name: str, *, ftp_only: bool = False) -> str:
        return self.database.write(
            lambda connection: accounts.add(connection, name=name, role=Role.CAMERA, now_ms=now_ms(), ftp_only=ftp_only)
        )

    @property
    def trust(self) -> ssl.SSLContext | None:
        """What a client needs to speak TLS, where this server demands it."""
        if self.settings.tls != "require":
            return None
        return ssl.create_default_context(cafile=str(self.tls_files.ca_pem))

    def wire(self, **options) -> Wire:
        wire = Wire(self.server.port, **{"trust": self.trust, **options})
        self.wires.append(wire)
        return wire

    def camera(self, name: str = "front-door", *, ftp_only: bool = False) -> Wire:
        """A logged-in camera; its account is made if need be."""
        if name not in self.secrets:
            self.secrets[name] = self.account(name, ftp_only=ftp_only)
        return self.wire().login(name, self.secrets[name])

    def ftplib(self, name: str, *, ftp_only: bool = False) -> ftplib.FTP:
        self.camera(name, ftp_only=ftp_only)
        secure = self.trust is not None
        client = ftplib.FTP_TLS(timeout=DEADLINE_S, context=self.trust) if secure else ftplib.FTP(timeout=DEADLINE_S)
        client.connect("127.0.0.1", self.server.port)
        client.login(name, self.secrets[name])
        if secure:
            client.prot_p()
        return client

    def rows(self) -> list:
        from sqlalchemy import select

        from aperture.store import schema

        return self.database.read(
            lambda c: list(c.execute(select(schema.photo).order_by(schema.photo.c.created_at_ms)))
        )

    def events(self) -> list[str]:
        return [event.kind for event in self.database.read(lambda c: events.after(c, 0, limit=10_000))]

    def connect(self) -> Wire:
        """A connection that its user closes."""
        return Wire(self.server.port, trust=self.trust)

    def event_count(self) -> int:
        return self.database.read(events.last_id)

    def stored(self, camera: str, photo: str) -> bytes | None:
        """The bytes of a photo that is stored, row and file; None when there is no such row."""
        known = self.database.read(lambda c: photos.expected(c, photo))
        if known is None or known.stored_bytes is None:
            return None
        return self.blobs.read(camera, photo)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()
        self.server.stop()
        self.database.close()


@pytest.fixture
def way() -> str:
    """How cameras come. Modules whose guarantees hold under TLS as well put a fixture of both ways in its place."""
    return "plain"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A CA and a certificate for localhost."""
    files = TlsFiles(tmp_path_factory.mktemp("certificate") / "tls")
    authority.init(files, hosts=["localhost", "127.0.0.1"])
    return files


@pytest.fixture
def make_house(tmp_path: Path, way: str, certificate: TlsFiles) -> Iterator[Callable[..., House]]:
    before = set(threading.enumerate())
    houses: list[House] = []

    def make(root: Path | None = None, **settings) -> House:
        chosen = {"host": "127.0.0.1", "port": 0, "tls": "require" if way == "tls" else "off", **settings}
        house = House(root=root or tmp_path, settings=FtpSettings(**chosen), tls_files=certificate)
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.close()
    until(lambda: not ({thread for thread in threading.enumerate() if thread.is_alive()} - before))


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()


@pytest.fixture
def wire_to() -> Iterator[Callable[[int], Wire]]:
    """Connect to a server of another process."""
    wires: list[Wire] = []

    def connect(port: int) -> Wire:
        wires.append(Wire(port))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.close()


@pytest.fixture
def photo_id() -> str:
    return new_photo_id()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return draw()


@pytest.fixture(scope="session")
def other_jpeg() -> bytes:
    return draw(seed=2)


@pytest.fixture(scope="session")
def draw_photo() -> Callable[..., bytes]:
    return draw


@pytest.fixture(scope="session")
def add_thumbnail() -> Callable[[bytes, bytes], bytes]:
    return with_thumbnail


@pytest.fixture(scope="session", name="until")
def until_fixture() -> Callable[..., None]:
    return until
