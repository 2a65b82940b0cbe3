"""Puts the parts together in one process: the only place where they meet.

One event loop runs bridge and API; the FTP server has a thread of its own, the MQTT broker is a child process.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.commands import Commands
from aperture.hints import Hints
from aperture.settings import BrokerKind, Settings
from aperture.store import accounts, service_secret
from aperture.store.accounts import Role
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database
from aperture.tls.files import TlsFiles
from cli import runfile
from cli.errors import CommandLineError
from cli.main import version

log = structlog.get_logger(__name__)


class Part(StrEnum):
    """What can run apart from the rest."""

    BROKER = "broker"
    BRIDGE = "bridge"
    API = "api"


EVERYTHING = frozenset(Part)
_READY_S = 10.0  # longer than the lease that a killed predecessor leaves behind
OUR_PACKAGES = frozenset({"aperture", "broker", "bridge", "api", "cli", "simulator"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens, or is found."""

    host: str
    port: int
    kind: str = ""
    tls_port: int | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class System:
    """What runs. A part that doesn't run here has no address."""

    settings: Settings
    database: Database
    blobs: LocalBlobs
    hints: Hints
    mqtt: Address | None = None
    ftp: Address | None = None
    api_url: str | None = None
    refresh_accounts: Callable[[], Awaitable[None]] | None = None
    """Has the broker take in new accounts now rather than at its next look."""
    probes: dict[str, Callable[[], str | None]] = field(default_factory=dict[str, Callable[[], str | None]])
    """Part → what is wrong with it now, None while it is well."""

    def run_file(self) -> dict[str, Any]:
        """Return the addresses in the form of `run.json`, without process and version."""
        return {
            "mqtt": None
            if self.mqtt is None
            else _listener(self.mqtt) | {"kind": self.mqtt.kind, "bound": self.settings.mqtt.host},
            "ftp": None
            if self.ftp is None
            else _listener(self.ftp) | {"tls": self.settings.ftp.tls.value, "bound": self.settings.ftp.host},
            "api": None if self.api_url is None else {"url": self.api_url},
        }


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts what runs as a task, and ends it in its turn."""

    stack: AsyncExitStack
    tasks: asyncio.TaskGroup

    async def run(self, work: Coroutine[Any, Any, None], *, until: Awaitable[Any], name: str) -> None:
        """Start `work` and wait for its being ready, but not for ever; what it raises until then is raised here."""
        task = self.tasks.create_task(work, name=name)
        self.stack.push_async_callback(_end, task)
        ready = asyncio.ensure_future(until)
        await asyncio.wait({ready, task}, timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        if not ready.done():
            ready.cancel()
            log.warning("not ready yet: going on, it will follow", part=name)


@asynccontextmanager
async def running(settings: Settings, parts: frozenset[Part] = EVERYTHING) -> AsyncGenerator[System]:
    """Run parts; everything is ready when the body begins, and has ended when this returns.

    Raises:
        StoreError: the store can't be opened.
        CommandLineError: a part can't start, or has failed; what had started is stopped again.
    """
    async with _failures_in_words(), AsyncExitStack() as stack:
        database = Database.open(settings.database)
        stack.callback(database.close)
        blobs = LocalBlobs(root=settings.photos_dir)
        system = System(settings, database, blobs, Hints())
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        starter = Starter(stack, tasks)
        if Part.BROKER in parts:
            await _start_mqtt(stack, system)
            await _start_ftp(stack, system)
        if Part.BRIDGE in parts:
            await _start_bridge(starter, system)
        if Part.API in parts:
            await _start_api(starter, system)
        yield system


async def _start_mqtt(stack: AsyncExitStack, system: System) -> None:
    from broker.mqtt import BrokerStartError, MqttBroker  # noqa: PLC0415 - a part is loaded where it runs

    settings = system.settings
    broker = MqttBroker(settings=settings.mqtt, data_dir=settings.data_dir, database=system.database)
    try:
        await stack.enter_async_context(broker)
    except BrokerStartError as error:
        if settings.mqtt.broker is not BrokerKind.EXTERNAL:
            raise
        log.warning("the MQTT broker is away: FTP, the archive and Discord go on without it", error=str(error))
    system.mqtt = Address(broker.host, broker.port, broker.kind, broker.tls_port)
    system.refresh_accounts = broker.refresh
    if broker.pid is not None:
        system.probes["mqtt"] = lambda: None if broker.pid else "the broker is down, and is being started again"


async def _start_ftp(stack: AsyncExitStack, system: System) -> None:
    from broker.ftp import FtpServer  # noqa: PLC0415

    data_dir = system.settings.data_dir
    firmware_dir = system.settings.firmware_dir
    firmware_dir.mkdir(exist_ok=True)
    server = FtpServer(
        settings=system.settings.ftp,
        database=system.database,
        blobs=system.blobs,
        partial_dir=data_dir / "partial",
        firmware_dir=firmware_dir,
        tls_files=TlsFiles.of(data_dir),
        on_stored=system.hints.wake,
    )
    await asyncio.to_thread(server.start)
    stack.push_async_callback(asyncio.to_thread, server.stop)
    system.ftp = Address(server.host, server.port)


async def _start_bridge(starter: Starter, system: System) -> None:
    from bridge.mqtt.link import MqttEndpoint  # noqa: PLC0415
    from bridge.service import Bridge  # noqa: PLC0415

    settings = system.settings
    username, password = service_secret.credentials(
        settings.mqtt, database=system.database, data_dir=settings.data_dir, name="bridge", now_ms=now_ms()
    )
    where = broker_address(system)
    bridge = Bridge(
        settings=settings,
        database=system.database,
        blobs=system.blobs,
        commands=_commands(system),
        hints=system.hints,
        mqtt=MqttEndpoint(host=where.host, port=where.port, username=username, password=password),
        version=version(),
    )
    system.probes["bridge"] = lambda: None if bridge.ready.is_set() else "not connected, or another bridge serves"
    await starter.run(bridge.run(), until=bridge.ready.wait(), name="bridge")


async def _start_api(starter: Starter, system: System) -> None:
    from api import create_app, serve  # noqa: PLC0415

    app = create_app(
        settings=system.settings,
        database=system.database,
        blobs=system.blobs,
        commands=_commands(system),
        hints=system.hints,
        version=version(),
        health=lambda: {part: probe() for part, probe in system.probes.items()},
    )
    settings = system.settings.api
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    served = serve(app, host=settings.host, port=settings.port, on_listening=port.set_result)
    await starter.run(served, until=port, name="api")
    system.api_url = f"http://{runfile.reachable(settings.host)}:{port.result()}"


def _commands(system: System) -> Commands:
    return Commands(database=system.database, hints=system.hints, firmware_dir=system.settings.firmware_dir)


def broker_address(system: System) -> Address:
    """Return where this process itself finds the MQTT broker: its own, or the one that the settings name."""
    if system.mqtt is not None:
        return Address(runfile.local(system.mqtt.host), system.mqtt.port, tls_port=system.mqtt.tls_port)
    settings = system.settings.mqtt
    running = runfile.read(system.settings.data_dir)
    if settings.broker is not BrokerKind.EXTERNAL and running and running["mqtt"]:
        return Address(runfile.local(running["mqtt"]["host"]), running["mqtt"]["port"])
    if settings.port == 0:
        raise CommandLineError("mqtt.port is 0: a part that runs by itself has to know the broker's port")
    host = settings.host if settings.broker is BrokerKind.EXTERNAL else settings.plain_host
    return Address(runfile.local(host), settings.port)


def fresh_token(connection: Connection, name: str) -> str:
    """Return a new operator's token; the one of that name before is void."""
    if any(token.name == name for token in accounts.tokens(connection)):
        accounts.revoke_token(connection, name=name, now_ms=now_ms())
    return accounts.create_token(connection, name=name, role=Role.OPERATOR, now_ms=now_ms())[1]


def _listener(address: Address) -> dict[str, Any]:
    tls = {} if address.tls_port is None else {"tls_port": address.tls_port}
    return {"host": runfile.local(address.host), "port": address.port, **tls}


@asynccontextmanager
async def _failures_in_words() -> AsyncGenerator[None]:
    """Turn what the parts raise, each its own root of errors, into the one that the command line tells."""
    try:
        yield
    except* Exception as group:  # noqa: BLE001 - raised again in either case
        error = _first(group)
        if _is_ours(error):
            raise CommandLineError(str(error)) from None
        raise error from None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _is_ours(error: BaseException) -> bool:
    """Whether the error is a sentence for the owner; all else is a defect, and keeps its traceback."""
    return type(error).__module__.partition(".")[0] in OUR_PACKAGES


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
