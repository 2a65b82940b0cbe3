"""TLS in front of a broker that can't listen with and without it at once (nats-server): taken off here, and passed on.

It adds nothing to what a client may do: accounts, rights, keep-alive and last wills are the broker's, and whichever end
closes, the other one is closed, too.
"""

import asyncio
import socket
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from aperture.tls.files import LiveContext
from broker.mqtt import ports
from broker.mqtt.engine import Address
from broker.mqtt.errors import BrokerStartError
from broker.ration import Ration

log = structlog.get_logger(__name__)

_MOST: Final = 2048
_BACKLOG: Final = 256
_HANDSHAKE_S: Final = 20.0  # an ESP32 computes long over it
_CONNECT_S: Final = 5.0
_SLOW_S: Final = 30.0  # for a client that does not read
_GOODBYE_S: Final = 3.0
_BREATH_S: Final = 0.5
_CHUNK_BYTES: Final = 65536
_LINES_PER_S: Final = 5

_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Front:
    """An async context manager: within it, TLS is spoken at `listen`, and the broker hears what was said."""

    def __init__(self, *, listen: Address, broker: Address, certificate: LiveContext) -> None:
        """Prepare; nothing is opened yet. Port 0 is any free one."""
        self._listen = listen
        self._broker = broker
        self._certificate = certificate
        self._connections: set[asyncio.Task[None]] = set()
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

    async def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            client = await self._shake_hands(connection)
        except OSError as error:
            connection.close()
            if self._ration.allows():
                reason = getattr(error, "reason", None) or str(error)
                log.warning(
                    "mqtt tls failed",
                    reason=reason.lower().replace("_", " "),
                    address=address,
                    unsaid=self._ration.take_unsaid(),
                )
            return
        opened = [client[1]]
        try:
            async with asyncio.timeout(_CONNECT_S):
                broker = await asyncio.open_connection(self._broker.host, self._broker.port)
            opened.append(broker[1])
            await _join(client, broker)
        except OSError as error:  # it is being started again: the client will come back
            log.debug("mqtt broker not reached", error=str(error))
        finally:
            for writer in opened:
                writer.transport.abort()

    async def _shake_hands(self, connection: socket.socket) -> _Ends:
        """Return the client's end.

        Raises:
            OSError: TLS, or the client, does not want to.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=self._certificate.current(),
            ssl_handshake_timeout=_HANDSHAKE_S,
            ssl_shutdown_timeout=_GOODBYE_S,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def _join(client: _Ends, broker: _Ends) -> None:
    """Pass bytes both ways until one end closes; then close the other, after what is on its way to it."""
    ways = {
        asyncio.create_task(_pass(client[0], broker[1]), name="mqtt to the broker"),
        asyncio.create_task(_pass(broker[0], client[1]), name="mqtt from the broker"),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
    async with asyncio.timeout(_GOODBYE_S):
        for writer in (client[1], broker[1]):
            writer.close()
        for writer in (client[1], broker[1]):
            await writer.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # it is closed, and so the other end will be
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            async with asyncio.timeout(_SLOW_S):
                await writer.drain()
