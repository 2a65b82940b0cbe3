"""The connection to the MQTT broker, which comes back by itself.

What is sent while it is away is not kept: the rows are the truth, and whoever sends looks at them again when
`on_connect` is called.

The session is clean (MQTT 3.1.1, 3.1.2.4): a request for a photo that was made while nobody served is not worth
answering later, and cameras say again whatever was not acknowledged.
"""

import asyncio
import contextlib
import errno
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import structlog

from aperture.contract.messages import ServerStatus
from aperture.contract.topics import FROM_CAMERA, FROM_OPERATOR, Topics
from bridge.tuning import Backoff, Tuning

log = structlog.get_logger(__name__)

_KEEPALIVE_S = 15
_MOST_QUEUED = 20_000
_REFUSED = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttEndpoint:
    """Where the broker is, and the account of the server's role that the bridge uses."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as it came. `retained` means that it was said before we listened."""

    topic: str
    body: bytes
    retained: bool


def forgive_closed_sockets(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle an exception of the loop's: aiomqtt may ask it, a moment too late, to watch a socket that has closed.

    The connection's end is told by other ways; an owner is to read no traceback of it.
    """
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno == errno.EBADF:
        log.debug("a socket closed before it could be watched", error=str(error))
    else:
        loop.default_exception_handler(context)


class Link:
    """The bridge's one connection."""

    def __init__(self, *, endpoint: MqttEndpoint, topics: Topics, version: str, tuning: Tuning) -> None:
        """Nothing is opened before `run`."""
        self._endpoint = endpoint
        self._topics = topics
        self._version = version
        self._tuning = tuning
        self._client: aiomqtt.Client | None = None

    async def run(
        self, *, on_connect: Callable[[], Awaitable[None]], on_message: Callable[[Heard], Awaitable[None]]
    ) -> None:
        """Stay connected until cancelled; then say `offline`.

        Messages are handed over one at a time, in their order; `on_connect` runs beside them after each connect.
        """
        asyncio.get_running_loop().set_exception_handler(forgive_closed_sockets)
        backoff = Backoff(first=self._tuning.reconnect_first_s, most=self._tuning.reconnect_most_s)
        while True:
            heed_cancellation()
            try:
                async with self._connected() as client:
                    heed_cancellation()
                    backoff.reset()
                    await self._serve(client, on_connect, on_message)
            except (aiomqtt.MqttError, OSError) as error:
                pause_s = backoff.next()
                if backoff.failures == 1:
                    log.warning("no connection to the MQTT broker: trying until it is back", error=str(error))
                await asyncio.sleep(pause_s)

    async def publish(self, topic: str, body: bytes, *, retain: bool = False) -> bool:
        """Send at QoS 1; return whether the broker has confirmed it."""
        client = self._client
        if client is None:
            return False
        try:
            await self._say(client, topic, body, retain=retain)
        except (aiomqtt.MqttError, TimeoutError, ValueError) as error:
            log.debug("not sent over MQTT", topic=topic, error=str(error))
            return False
        return True

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[aiomqtt.Client]:
        at = self._endpoint
        client = aiomqtt.Client(
            at.host,
            at.port,
            username=at.username,
            password=at.password,
            identifier=at.username,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            timeout=self._tuning.mqtt_timeout_s,
            will=aiomqtt.Will(self._topics.server_status, self._status("offline"), qos=1, retain=True),
            max_queued_incoming_messages=_MOST_QUEUED,
        )
        async with client:
            filters = [(self._topics.every(kind), 1) for kind in FROM_CAMERA + FROM_OPERATOR]
            async with asyncio.timeout(self._tuning.mqtt_timeout_s):
                granted = await client.subscribe(filters, timeout=math.inf)
            if _REFUSED in granted:
                log.error("the MQTT broker refuses the bridge's subscriptions: is its account of the server's role?")
            self._client = client
            try:
                await self._say(client, self._topics.server_status, self._status("online"), retain=True)
                log.info("connected to the MQTT broker", host=at.host, port=at.port)
                yield client
            finally:
                self._client = None
                with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                    await self._say(client, self._topics.server_status, self._status("offline"), retain=True)

    async def _say(self, client: aiomqtt.Client, topic: str, body: bytes, *, retain: bool) -> None:
        """Publish, with a deadline of our own: the library's, `asyncio.wait_for`, can swallow a cancellation."""
        async with asyncio.timeout(self._tuning.mqtt_timeout_s):
            await client.publish(topic, body, qos=1, retain=retain, timeout=math.inf)

    async def _serve(
        self,
        client: aiomqtt.Client,
        on_connect: Callable[[], Awaitable[None]],
        on_message: Callable[[Heard], Awaitable[None]],
    ) -> None:
        restoring = asyncio.create_task(_run(on_connect), name="bridge mqtt restore")
        try:
            async for message in client.messages:
                await on_message(Heard(str(message.topic), message.payload, message.retain))
        finally:
            restoring.cancel()
            await asyncio.gather(restoring, return_exceptions=True)

    def _status(self, status: str) -> bytes:
        return ServerStatus(status=status, version=self._version).encode()


def heed_cancellation() -> None:
    """Raise a cancellation that was swallowed: by 3.11's `asyncio.wait_for` when both race, by a group that fails."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # a task's error would be seen by nobody
        log.exception("what should be retained was not put back")
