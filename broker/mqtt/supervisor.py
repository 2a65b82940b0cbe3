"""Keeps one broker running: starts it, tells it of accounts, starts it again when it dies, ends it.

A restart keeps the port, so that cameras and parts find the broker where it was; they put back by themselves what
should be retained. `server` decides which broker; `child` is the process; `claim` the right to run it here.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

import structlog
from sqlalchemy import Connection

from aperture.store import accounts
from aperture.store.accounts import Account
from aperture.store.database import Database
from aperture.store.errors import StoreError
from aperture.tls.errors import TlsError
from broker.mqtt import ports, probe
from broker.mqtt.child import Child
from broker.mqtt.claim import Claim
from broker.mqtt.engine import Address, Engine, Listeners
from broker.mqtt.errors import BrokerStartError, MqttBrokerError, PortTakenError
from broker.mqtt.probe import Login

log = structlog.get_logger(__name__)

_START_S: Final = 30.0  # a full store on a slow SD card takes its time
_POLL_S: Final = 0.3
_PAUSES_S: Final = (0.1, 10.0)  # before a restart: the first, the longest
_SOUND_S: Final = 30.0  # whoever has lived that long begins anew with the first pause
# A port that we chose may be taken before the broker has it; and one that a broker of ours just left may be closed a
# little after its claim on the folder.
_PORT_TRIES: Final = 5
_PORT_PAUSE_S: Final = 0.1


class Supervisor:
    """An async context manager; within it, the broker serves or is on its way back."""

    def __init__(
        self, *, engine: Engine, listeners: Listeners, data_dir: Path, database: Database, login: tuple[str, str]
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            engine: which broker.
            listeners: where to listen; port 0 is any.
            data_dir: where the claim is laid.
            database: where the accounts are.
            login: username and password of the account that the broker is checked with.
        """
        self._engine = engine
        self._wanted = listeners
        self._database = database
        self._username, self._password = login
        self._claim = Claim(data_dir=data_dir)
        self._child: Child | None = None
        self._serving = False
        self._revision = -1
        self._telling = asyncio.Lock()
        self._stack = AsyncExitStack()
        self.listeners = listeners

    @property
    def port(self) -> int:
        """The port of its plain listener."""
        return self.listeners.plain.port

    @property
    def pid(self) -> int | None:
        """The broker's process id; None while it is down."""
        return self._child.pid if self._child is not None and self._child.running else None

    async def __aenter__(self) -> Self:
        """Start the broker and wait until it serves.

        Raises:
            MqttBrokerError: it does not; see the tree in `errors`.
            OSError: its folder can't be written to.
            StoreError: the accounts can't be read.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._claim)
            await self._start_first()
            stack.push_async_callback(self._stop)
            for name, loop in (("mqtt broker's keeper", self._keep), ("mqtt broker's accounts", self._follow)):
                stack.push_async_callback(_cancel, _spawn(name, loop))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the broker."""
        await self._stack.aclose()

    async def refresh(self) -> None:
        """Tell the broker of accounts, and of a certificate, that have changed since the last time.

        Raises:
            StoreError: the accounts can't be read; the broker goes on with those it knows.
            OSError: they can't be written for it; likewise.
        """
        async with self._telling:
            changed = await self._database.aread(accounts.revision) != self._revision
            if changed:
                await self._admit()
            if (await self._certify() or changed) and self._serving and self._child is not None:
                self._child.reload()

    async def _certify(self) -> bool:
        try:
            renewed = await asyncio.to_thread(self._engine.certify)
        except TlsError as error:
            log.warning("a new certificate can't be taken up: going on with the old one", error=str(error))
            return False
        if renewed:
            log.info("new certificate taken up", by=self._engine.kind)
        return renewed

    async def _start_first(self) -> None:
        for attempt in range(1, _PORT_TRIES + 1):
            self.listeners = await asyncio.to_thread(_choose_ports, self._wanted)
            try:
                await self._start()
            except PortTakenError:
                if attempt == _PORT_TRIES:
                    raise
                await asyncio.sleep(_PORT_PAUSE_S)
            else:
                return

    async def _start(self) -> None:
        try:
            await self._start_once()
        except BrokerStartError:
            lines = () if self._child is None else self._child.last_lines
            mended = await asyncio.to_thread(self._engine.mend, lines)
            if mended is None:
                raise
            log.warning("mqtt broker mended", what=mended)
            await self._start_once()

    async def _start_once(self) -> None:
        async with self._telling:
            try:
                await asyncio.to_thread(self._engine.prepare, self.listeners)
            except TlsError as error:
                raise BrokerStartError(f"can't serve MQTT over TLS (mqtt.tls_port): {error}") from error
            await self._admit()
        told = self._revision
        child = self._child = await Child.start(self._engine, inherit=self._claim.handle)
        try:
            self._claim.note_child(child.pid)
            await self._until_serving(child)
        except BaseException:
            await child.stop()
            raise
        self._serving = True
        if self._revision != told:  # changed while it started, when a signal would have ended it
            child.reload()

    async def _until_serving(self, child: Child) -> None:
        login = Login(ports.reachable(self.listeners.plain.host), self.port, self._username, self._password)
        serving = asyncio.create_task(probe.until_serving(login, within_s=_START_S))
        ended = asyncio.create_task(child.wait())
        try:
            await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
            if child.running:
                return await serving
            reason = f"{self._engine.kind} ended as soon as it was started"
        except BrokerStartError as error:
            reason = str(error)
        finally:
            await _cancel(serving)
            await _cancel(ended)
        if any("address already in use" in line.lower() for line in child.last_lines):
            await asyncio.to_thread(_choose_ports, self.listeners)  # says which of them
            raise PortTakenError(ports.taken(self.port))
        raise BrokerStartError(f"{reason}; it said: {' | '.join(child.last_lines[-5:]) or 'nothing'}")

    async def _admit(self) -> None:
        revision, active = await self._database.aread(_accounts)
        await asyncio.to_thread(self._engine.admit, active)
        self._revision = revision

    async def _keep(self) -> None:
        first_s, longest_s = _PAUSES_S
        pause_s = first_s
        while self._child is not None:
            since = time.monotonic()
            status = await self._child.wait()
            self._serving = False
            log.warning("mqtt broker died: starting it again", status=status, said=self._child.last_lines[-3:])
            if time.monotonic() - since > _SOUND_S:
                pause_s = first_s
            pause_s = await self._bring_back(pause_s, longest_s)
            log.info("mqtt broker is back", pid=self.pid, port=self.port)

    async def _bring_back(self, pause_s: float, longest_s: float) -> float:
        """Start the broker again, however many attempts that takes; return the pause before a next time."""
        said = False
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
            pause_s = min(pause_s * 2, longest_s)
            try:
                await self._start()
            except (MqttBrokerError, StoreError, OSError) as error:
                if not said:
                    log.warning("mqtt broker does not start: trying on", reason=str(error))
                said = True
            else:
                return pause_s

    async def _follow(self) -> None:
        said = False
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                await self.refresh()
            except (StoreError, OSError) as error:
                if not said:
                    log.warning("mqtt broker can't be told of changed accounts: trying on", reason=str(error))
                said = True
            else:
                said = False

    async def _stop(self) -> None:
        self._serving = False
        if self._child is not None:
            await self._child.stop()


def _choose_ports(wanted: Listeners) -> Listeners:
    plain = Address(wanted.plain.host, ports.choose(wanted.plain.host, wanted.plain.port))
    if wanted.tls is None:
        return Listeners(plain)
    return Listeners(
        plain, Address(wanted.tls.host, ports.choose(wanted.tls.host, wanted.tls.port, setting="mqtt.tls_port"))
    )


def _accounts(connection: Connection) -> tuple[int, list[Account]]:
    return accounts.revision(connection), accounts.active(connection)


def _spawn(name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    task = asyncio.create_task(loop(), name=name)
    task.add_done_callback(_tell_failure)
    return task


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("mqtt broker's supervisor failed", task=task.get_name(), exc_info=error)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # looked at, so that nobody calls it forgotten
