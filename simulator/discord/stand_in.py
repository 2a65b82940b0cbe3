"""The stand-in as one object: its server, what it saw, and what it is told to do wrong."""

import asyncio
import socket
from types import TracebackType
from typing import Self

from aiohttp import web

from simulator.discord.api import WebhookApi
from simulator.discord.control import Control
from simulator.discord.exchange import Exchanges
from simulator.discord.faults import Fault, Faults
from simulator.discord.ledger import Ledger, Message, RequestRecord, Snowflakes, monotonic_ms, wall_ms
from simulator.discord.limits import UNLIMITED, Limits, RateLimiter
from simulator.discord.page import Page
from simulator.discord.refusals import StandInError
from simulator.discord.rules import MAX_REQUEST_BYTES
from simulator.discord.webhooks import Webhook, Webhooks

_SHUTDOWN_S = 0.2


class DiscordStandIn:
    """Discord's webhooks on this machine: `async with DiscordStandIn() as discord: …`.

    Args:
        port: where to listen on loopback; 0 takes any free port.
        limits: rate limits to obey; `Limits()` are Discord's own, `UNLIMITED` none.
        strict_user_agent: refuse what is not `DiscordBot (url, version)`.
        max_messages: how many messages are kept; the oldest go first.
        max_bytes: how many bytes of attachments are kept.
        max_requests: how many requests' records are kept.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        limits: Limits = UNLIMITED,
        strict_user_agent: bool = True,
        max_messages: int = 500,
        max_bytes: int = 64 * 1024 * 1024,
        max_requests: int = 20_000,
    ) -> None:
        self._port = port
        self._ids = Snowflakes()
        self._ledger = Ledger(max_messages=max_messages, max_bytes=max_bytes, max_requests=max_requests)
        self.webhooks = Webhooks(self._ids)
        self.webhook = self.webhooks.add()
        self.limiter = RateLimiter(limits, clock_ms=monotonic_ms, wall_ms=wall_ms)
        self.faults = Faults()
        self._exchanges = Exchanges(
            ledger=self._ledger,
            webhooks=self.webhooks,
            limiter=self.limiter,
            faults=self.faults,
            strict_user_agent=strict_user_agent,
        )
        self._place: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self._return: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._place = _bind(self._port)
        await self.come_back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._return is not None:
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)
        await self.go_down()
        if self._place is not None:
            self._place.close()

    @property
    def port(self) -> int:
        """The port that it has taken; kept while it is down."""
        if self._place is None:
            raise StandInError("The stand-in has not been started: use it as `async with DiscordStandIn() as discord`")
        return int(self._place.getsockname()[1])

    @property
    def url(self) -> str:
        """The page that shows the messages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_base(self) -> str:
        """What to call instead of Discord's own `https://discord.com/api/v10`."""
        return f"{self.url}/api/v10"

    def webhook_url(self, webhook: Webhook | None = None, *, thread_id: str | None = None) -> str:
        """Return a webhook's URL (by default the first one's) as Discord gives it: on discord.com."""
        url = (webhook or self.webhook).url
        return f"{url}?thread_id={thread_id}" if thread_id else url

    @property
    def messages(self) -> list[Message]:
        """The messages that are kept, oldest first."""
        return self._ledger.messages

    @property
    def message_total(self) -> int:
        """How many messages were ever accepted."""
        return self._ledger.message_total

    @property
    def requests(self) -> list[RequestRecord]:
        """The records of the requests, oldest first."""
        return list(self._ledger.requests)

    async def wait_for_messages(self, count: int, timeout: float = 5.0) -> list[Message]:  # noqa: ASYNC109 - seconds
        """Return the kept messages once `count` were accepted since the start.

        Raises:
            TimeoutError: they did not come within `timeout` seconds.
        """
        await self._ledger.wait_until(lambda: self.message_total >= count, timeout_ms=round(timeout * 1000))
        return self.messages

    async def wait_for_requests(self, count: int, timeout: float = 5.0) -> list[RequestRecord]:  # noqa: ASYNC109
        """Return the kept records once `count` requests were finished or begun since the start.

        Raises:
            TimeoutError: they did not come within `timeout` seconds.
        """
        await self._ledger.wait_until(lambda: self._ledger.request_total >= count, timeout_ms=round(timeout * 1000))
        return self.requests

    def misbehave(self, fault: Fault) -> None:
        """Order a fault for the requests to come."""
        self.faults.order(fault)

    def heal(self) -> None:
        """Drop all orders."""
        self.faults.heal()

    def forget(self) -> None:
        """Drop the messages and records that are kept."""
        self._ledger.clear()

    async def go_down(self) -> None:
        """Stop listening and close every connection; the port stays taken, so that connecting is refused."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await _close(runner)

    async def come_back(self) -> None:
        """Listen again on the same port."""
        if self._runner is not None:
            return
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        api = WebhookApi(exchanges=self._exchanges, ledger=self._ledger, ids=self._ids, base_url=self.url)
        api.add_to(app)
        Page(ledger=self._ledger, api=api).add_to(app)
        Control(self).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S, keepalive_timeout=600)
        await self._runner.setup()
        await web.SockSite(self._runner, _bind(self.port)).start()

    def go_down_for(self, down_ms: int) -> None:
        """Go down now and come back by itself: for who can only ask over HTTP."""
        self._return = asyncio.create_task(self._down_for(down_ms), name="discord stand-in down")

    async def _down_for(self, down_ms: int) -> None:
        await self.go_down()
        await asyncio.sleep(down_ms / 1000)
        await self.come_back()


async def _close(runner: web.AppRunner) -> None:
    """End a server and every connection of it, at once: aiohttp lets one go on that has something left to send."""
    server = runner.server
    transports = _transports(server)
    await runner.cleanup()
    for _ in range(2):  # what the kernel had accepted becomes a connection in the next turn, an end in the one after
        await asyncio.sleep(0)
        transports |= _transports(server)
        for transport in transports:
            transport.abort()
    await asyncio.sleep(0)


def _transports(server: web.Server | None) -> set[asyncio.Transport]:
    handlers = server.connections if server else []
    return {handler.transport for handler in handlers if handler.transport is not None}


def _bind(port: int) -> socket.socket:
    """Bind to loopback; two sockets of ours may hold one port, so that it stays ours while nobody listens."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock
