"""One request to Discord's API from its first byte to its answer: faults, records, limits, refusals.

`api` has what is done in between.
"""

import asyncio
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from simulator.discord.faults import Fault, FaultKind, Faults
from simulator.discord.ledger import Ledger, RequestRecord, wall_ms
from simulator.discord.limits import RateLimiter, rate_limited
from simulator.discord.refusals import Refusal, blocked_user_agent, too_large
from simulator.discord.webhooks import Webhook, Webhooks

_USER_AGENT = re.compile(r"DiscordBot \(\S+?,? [^)]+\)")
_CLOUDFLARE_PAGE = "<!doctype html><title>Access denied</title><h1>Error 1015: You are being rate limited</h1>"
_RST = struct.pack("ii", 1, 0)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What an endpoint works on."""

    request: web.Request
    record: RequestRecord
    webhook: Webhook
    body: bytes
    thread_id: str | None
    headers: dict[str, str] = field(default_factory=dict[str, str])


Endpoint = Callable[[Exchange], web.Response]


class HungUp(web.Response):
    """Stands for an answer that nobody will get: the connection is gone already."""


class Exchanges:
    """Runs endpoints within what every request goes through."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        webhooks: Webhooks,
        limiter: RateLimiter,
        faults: Faults,
        strict_user_agent: bool,
    ) -> None:
        self._ledger = ledger
        self._webhooks = webhooks
        self._limiter = limiter
        self._faults = faults
        self._strict_user_agent = strict_user_agent

    async def run(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        """Answer `request` by `endpoint`, or by the fault that was ordered for it."""
        webhook_id = request.match_info["webhook_id"]
        record = self._ledger.open(method=request.method, webhook_id=webhook_id)
        fault = self._faults.take(method=request.method, webhook_id=webhook_id)
        record.fault = fault.kind if fault else None
        if fault and fault.kind in (FaultKind.RESET, FaultKind.STALL):
            if fault.kind is FaultKind.STALL:
                await asyncio.sleep(fault.delay_ms / 1000)
            return _hang_up(request, reset=True)
        response = await self._serve(request, record, endpoint, fault)
        response = await _spoil(request, response, fault)
        if not isinstance(response, HungUp):
            record.status = response.status
            response.headers.setdefault("Via", "1.1 google")
            if isinstance(response, _Cloudflare):
                del response.headers["Via"]
        self._ledger.changed()
        return response

    async def _serve(
        self, request: web.Request, record: RequestRecord, endpoint: Endpoint, fault: Fault | None
    ) -> web.Response:
        headers: dict[str, str] = {}
        try:
            body = await self._receive(request, record)
            if fault:
                _refuse(fault)
            exchange = self._admit(request, record, body)
            headers = exchange.headers
            response = endpoint(exchange)
        except _CloudflareError as error:
            return _Cloudflare(error.retry_after_ms)
        except Refusal as refusal:
            record.code = refusal.body.get("code")
            headers = headers | refusal.headers
            response = json_response(refusal.body, status=refusal.status)
        response.headers.update(headers)
        return response

    async def _receive(self, request: web.Request, record: RequestRecord) -> bytes:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large() from None
        record.received_ns = time.monotonic_ns()
        record.received_at_ms = wall_ms()
        record.body_bytes = len(body)
        return body

    def _admit(self, request: web.Request, record: RequestRecord, body: bytes) -> Exchange:
        if self._strict_user_agent and not _USER_AGENT.match(request.headers.get("User-Agent", "")):
            raise blocked_user_agent()
        match = request.match_info
        webhook = self._webhooks.authenticate(match["webhook_id"], match["token"])
        thread_id = request.query.get("thread_id") or None
        posts_to = (thread_id or webhook.channel_id) if request.method == "POST" else None
        headers = self._limiter.take(route=request.method, webhook_id=webhook.id, channel_id=posts_to)
        return Exchange(
            request=request, record=record, webhook=webhook, body=body, thread_id=thread_id, headers=headers
        )


class _CloudflareError(Exception):
    def __init__(self, retry_after_ms: int) -> None:
        super().__init__("429 from the edge")
        self.retry_after_ms = retry_after_ms


class _Cloudflare(web.Response):
    def __init__(self, retry_after_ms: int) -> None:
        headers = {"Retry-After": str(-(-retry_after_ms // 1000)), "Server": "cloudflare"}
        super().__init__(status=429, text=_CLOUDFLARE_PAGE, content_type="text/html", headers=headers)


def json_response(body: object, *, status: int = 200) -> web.Response:
    """Return `body` as JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _refuse(fault: Fault) -> None:
    match fault.kind:
        case FaultKind.RATE_LIMIT:
            raise rate_limited(fault.retry_after_ms, fault.scope)
        case FaultKind.CLOUDFLARE:
            raise _CloudflareError(fault.retry_after_ms)
        case FaultKind.REFUSE | FaultKind.FAIL_BEFORE:
            raise Refusal(fault.refusal_status, fault.code, fault.message)
        case _:
            return


async def _spoil(request: web.Request, response: web.Response, fault: Fault | None) -> web.Response:
    """Return the answer as the fault leaves it; the message is accepted by now."""
    match fault.kind if fault else None:
        case FaultKind.FAIL_AFTER if fault:
            return web.Response(status=fault.refusal_status, text="upstream connect error", content_type="text/plain")
        case FaultKind.LOSE_REPLY:
            return _hang_up(request, reset=False)
        case FaultKind.CUT_REPLY:
            return _cut(request, response)
        case FaultKind.DELAY if fault:
            await asyncio.sleep(fault.delay_ms / 1000)
        case _:
            pass
    return response


def _cut(request: web.Request, response: web.Response) -> web.Response:
    body = response.body if isinstance(response.body, bytes) else b""
    head = f"HTTP/1.1 {response.status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    if request.transport is not None:
        request.transport.write(head.encode() + body[: len(body) // 2])
    return _hang_up(request, reset=False)


def _hang_up(request: web.Request, *, reset: bool) -> HungUp:
    """Close the connection: with what was written (FIN), or at once (RST)."""
    transport = request.transport
    if transport is not None and reset:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        transport.abort()
    elif transport is not None:
        transport.close()
    return HungUp()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
