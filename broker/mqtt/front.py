"""TLS in front of a broker that can't listen with and without it at once (nats-server): taken off here, and passed on.

It adds nothing to what a client may do: accounts, rights, keep-alive and last wills are the broker's, and whichever end
closes, the other one is closed, too.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog

from aperture.tls.files import LiveContext
from aperture.tls.sockets import TlsSocket, secure
from broker.mqtt import ports
from broker.mqtt.engine import Address
from broker.mqtt.errors import BrokerStartError
from broker.ration import Ration

log = structlog.get_logger(__name__)

_MOST: Final = 2048
_MOST_STRANGERS: Final = _MOST // 4
_BACKLOG: Final = 256
_HANDSHAKE_S: Final = 20.0  # an ESP32 computes long over it
_CONNECT_S: Final = 5.0
_SLOW_S: Final = 30.0  # for a client that does not read
_GOODBYE_S: Final = 3.0
_BREATH_S: Final = 0.5
_CHUNK_BYTES: Final = 65536
_LINES_PER_S: Final = 5

T = TypeVar("T")


class Front:
    """An async context manager: within it, TLS is spoken at `listen`, and the broker hears what was said."""

    def __init__(self, *, listen: Address, broker: Address, certificate: LiveContext) -> None:
        """Prepare; nothing is opened yet. Port 0 is any free one."""
        self._listen = listen
        self._broker = broker
        self._certificate = certificate
        self._connections: set[asyncio.Task[None]] = set()
        self._strangers: dict[asyncio.Task[None], bool] = {}
        self._ration = Ration(per_s=_LINES_PER_S)
        self.port = listen.port

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            MqttBrokerError: the port is taken, or the address none of this machine's.
        """
        self.port = await asyncio.to_thread(ports.choose, self._listen.host, self._listen.port, setting="mqtt.tls_port")
        try:
            self._listener = _listener(self._listen.host, self.port)
        except OSError as error:
            raise BrokerStartError(f"MQTT can't listen on port {self.port}: {error} (mqtt.tls_port)") from error
        self._accepting = asyncio.create_task(self._accept(), name="mqtt over tls")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and close what is open."""
        tasks = {self._accepting, *self._connections}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._listener.close()
        await asyncio.sleep(0)  # what was aborted is closed by the loop

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as error:  # no descriptor left, or the client was gone before it was accepted
                log.warning("an mqtt connection could not be accepted", error=str(error))
                await asyncio.sleep(_BREATH_S)
                continue
            if len(self._connections) >= _MOST:
                connection.close()
                continue
            task = asyncio.create_task(self._serve(connection, address[0]), name=f"mqtt over tls from {address[0]}")
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, plain: socket.socket, address: str) -> None:
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with closing(secure(plain, self._certificate.current())) as connection:
                client = _Client(connection)
                self._make_room()
                async with asyncio.timeout(_HANDSHAKE_S):
                    await client.shake_hands()
                self._strangers.pop(_this_task(), None)
                await self._pass_on(client)
        except OSError as error:  # the client is gone, or TLS does not want to
            if self._strangers.pop(_this_task(), None) and self._ration.allows():
                reason = str(error.strerror or error or "no handshake").lower().replace("_", " ")
                log.warning("mqtt tls failed", reason=reason, address=address, unsaid=self._ration.take_unsaid())
        finally:
            self._strangers.pop(_this_task(), None)
            plain.close()

    def _make_room(self) -> None:
        """Turn out those who have been shaking hands for longest: they may hold a quarter of the connections."""
        self._strangers[_this_task()] = True
        while len(self._strangers) > _MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()

    async def _pass_on(self, client: "_Client") -> None:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(self._broker.host, self._broker.port)
        try:
            await _join(client, reader, writer)
        finally:
            writer.transport.abort()


class _Client:
    """The client's end: what is read and written is under TLS."""

    def __init__(self, connection: TlsSocket) -> None:
        self._connection = connection

    async def shake_hands(self) -> None:
        await self._when_ready(self._connection.do_handshake, reading=True)

    async def read(self) -> bytes:
        return await self._when_ready(lambda: self._connection.recv(_CHUNK_BYTES), reading=True)

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        async with asyncio.timeout(_SLOW_S):
            while rest:
                sent = await self._when_ready(partial(self._connection.send, rest), reading=False)
                rest = rest[sent:]

    async def _when_ready(self, work: Callable[[], T], *, reading: bool) -> T:
        """Do it, as often as it has to wait for the network."""
        loop = asyncio.get_running_loop()
        add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
        while True:
            try:
                return work()
            except BlockingIOError:
                ready = asyncio.Event()
                add(self._connection, ready.set)
                try:
                    await ready.wait()
                finally:
                    remove(self._connection)


def _this_task() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("not in a task")
    return task


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def _join(client: _Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes both ways until one end closes; to the broker what is on its way still gets."""
    ways = {
        asyncio.create_task(_to_broker(client, writer), name="mqtt to the broker"),
        asyncio.create_task(_from_broker(reader, client), name="mqtt from the broker"),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
    writer.close()
    async with asyncio.timeout(_GOODBYE_S):
        await writer.wait_closed()


async def _to_broker(client: _Client, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # it is closed, and so the other end will be
        while data := await client.read():
            writer.write(data)
            async with asyncio.timeout(_SLOW_S):
                await writer.drain()
            await asyncio.sleep(0)  # neither of the two need have waited: others have their turn


async def _from_broker(reader: asyncio.StreamReader, client: _Client) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            await client.write(data)
