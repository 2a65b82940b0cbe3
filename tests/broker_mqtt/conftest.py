"""A real broker per test, of either kind, on a free port of the loopback; and people who connect to it."""

import asyncio
import shutil
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from aperture.clock import now_ms
from aperture.settings import BrokerKind, MqttSettings
from aperture.store import accounts
from aperture.store.accounts import Role
from aperture.store.database import Database, sqlite_url
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.mqtt import MqttBroker
from broker.mqtt.engine import find_program

DEADLINE_S = 10.0


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied: migrating is the slowest step of a test."""
    path = tmp_path_factory.mktemp("template") / "aperture.db"
    Database.open(sqlite_url(path)).close()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Generator[Database]:
    path = tmp_path / "data" / "aperture.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    database = Database.open(sqlite_url(path))
    yield database
    database.close()


@pytest.fixture
def data_dir(tmp_path: Path, database: Database) -> Path:
    return tmp_path / "data"


@pytest.fixture(params=["mosquitto", "nats"])
def kind(request: pytest.FixtureRequest) -> BrokerKind:
    """Each test that asks for it runs on both brokers."""
    program = {"mosquitto": "mosquitto", "nats": "nats-server"}[request.param]
    if find_program(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    return BrokerKind(request.param)


@pytest.fixture
def way() -> str:
    """How clients come. Modules whose guarantees hold over TLS as well put a fixture of both ways in its place."""
    return "plain"


@pytest.fixture
def mqtt_settings(kind: BrokerKind, way: str) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", port=0, broker=kind, tls_port=0 if way == "tls" else None)


@pytest.fixture
def tls_files(data_dir: Path) -> TlsFiles:
    """A CA and a certificate in the data folder."""
    files = TlsFiles.of(data_dir)
    authority.init(files, hosts=["localhost", "127.0.0.1"])
    return files


@dataclass
class Ear:
    """What one client hears: kept in the background, waited for with a deadline."""

    client: aiomqtt.Client
    heard: list[aiomqtt.Message] = field(default_factory=list)
    closed: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        try:
            async for message in self.client.messages:
                async with self._changed:
                    self.heard.append(message)
                    self._changed.notify_all()
        except aiomqtt.MqttError:
            async with self._changed:
                self.closed = True
                self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(condition)

    async def until_heard(self, topic: str, payload: bytes | None = None) -> aiomqtt.Message:
        def found() -> list[aiomqtt.Message]:
            return [m for m in self.heard if str(m.topic) == topic and payload in (None, m.payload)]

        await self.until(lambda: bool(found()))
        return found()[0]

    async def until_closed(self) -> None:
        await self.until(lambda: self.closed)

    @property
    def topics(self) -> set[str]:
        return {str(message.topic) for message in self.heard}


class House:
    """A running broker with its accounts."""

    def __init__(self, *, broker: MqttBroker, database: Database, tls_files: TlsFiles | None = None) -> None:
        self.broker = broker
        self.tls_files = tls_files
        self.database = database
        self.secrets: dict[str, str] = {}

    def add(self, name: str, role: Role = Role.CAMERA, *, ftp_only: bool = False) -> str:
        secret = self.database.write(
            lambda c: accounts.add(c, name=name, role=role, now_ms=now_ms(), ftp_only=ftp_only)
        )
        self.secrets[name] = secret
        return secret

    def client(self, name: str, **options: Any) -> aiomqtt.Client:
        options.setdefault("password", self.secrets.get(name, "wrong"))
        options.setdefault("timeout", 5)
        port = options.pop("port", None)
        if self.tls_files is not None and port is None:
            trust = options.pop("trust", self.tls_files.ca_pem)
            options["tls_context"] = ssl.create_default_context(cafile=str(trust))
            port = self.broker.tls_port
        return aiomqtt.Client(self.broker.host, port or self.broker.port, username=name, **options)

    async def server(self) -> aiomqtt.Client:
        name, secret = await self.broker.server_credentials("bridge")
        self.secrets[name] = secret
        return self.client(name)

    async def refused(self, name: str, **options: Any) -> bool:
        try:
            async with self.client(name, **options):
                return False
        except aiomqtt.MqttError:
            return True

    async def admitted(self, name: str) -> None:
        """Return once the account can connect."""
        await eventually(lambda: _not(self.refused(name, timeout=1)))

    @asynccontextmanager
    async def listening(self, client: aiomqtt.Client, *filters: str, qos: int = 1) -> AsyncGenerator[Ear]:
        async with client:
            ear = Ear(client)
            task = asyncio.create_task(ear.listen())
            try:
                for one in filters:
                    await subscribe(client, one, qos=qos)
                yield ear
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def subscribe(client: aiomqtt.Client, topic_filter: str, *, qos: int = 1) -> bool:
    """Subscribe; whether the broker says that it is granted (mosquitto says so even when it is not)."""
    codes = await client.subscribe(topic_filter, qos=qos)
    return all(int(getattr(code, "value", code)) < 0x80 for code in codes)


async def eventually(condition: Callable[[], Awaitable[bool]], *, within_s: float = DEADLINE_S) -> float:
    """Wait until `condition` holds, asking again and again; return the seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def _not(answer: Awaitable[bool]) -> bool:
    return not await answer


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[float]]:
    return eventually


@pytest.fixture
async def house(
    mqtt_settings: MqttSettings, data_dir: Path, database: Database, request: pytest.FixtureRequest
) -> AsyncGenerator[House]:
    """Two cameras, a reader and an operator, on a running broker."""
    house = House(
        broker=MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=database),
        database=database,
        tls_files=None if mqtt_settings.tls_port is None else request.getfixturevalue("tls_files"),
    )
    house.add("porch")
    house.add("shed")
    house.add("phone", Role.READER)
    house.add("home", Role.OPERATOR)
    async with house.broker:
        yield house
