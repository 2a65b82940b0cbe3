"""Runs the application with uvicorn in the event loop that is there, until it is cancelled.

uvicorn would take the process's signals, write logs of its own, and wait for live streams for ever: not here. The
socket is ours too, so that port 0 is known, and a neighbour who connects and says nothing takes nobody's place.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from typing import Any

import orjson
import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import MEDIA_TYPE, NOT_HTTP, ApiError, ProblemError
from api.services import Services

log = structlog.get_logger(__name__)

GRACE_S = 3
KEEP_ALIVE_S = 15
REQUEST_S = 20
"""How long a request may take to come whole; bodies are small."""
MOST_CONNECTIONS = 256

_STUCK_MS = 30_000
_BACKLOG = 512


class ListenError(ApiError):
    """The address can't be listened on; the message says why and what to do."""


async def serve(app: FastAPI, *, host: str, port: int, on_listening: Callable[[int], None] | None = None) -> None:
    """Serve until cancelled; then stop listening, end live streams, finish what runs, in a few seconds at most.

    Args:
        app: what `create_app` made.
        host: the address to listen on.
        port: the port; 0 takes any free one.
        on_listening: told the port, once requests are answered.

    Raises:
        ListenError: the address can't be listened on.
    """
    listening = _listen(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listening]), name="api-server")
    try:
        await _started(server, running)
        if on_listening is not None:
            on_listening(listening.getsockname()[1])
        await asyncio.shield(running)
    finally:
        await _stop(app, server, running)
        listening.close()


async def _started(server: uvicorn.Server, running: asyncio.Task[None]) -> None:
    while not server.started:
        if running.done():
            running.result()
            raise ApiError("the HTTP server did not start")
        await asyncio.sleep(0.005)


async def _stop(app: FastAPI, server: uvicorn.Server, running: asyncio.Task[None]) -> None:
    services: Services = app.state.services
    services.feed.close()
    server.should_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait({running}, timeout=2 * GRACE_S)
    if not running.done():
        log.warning("HTTP server did not stop in time")
        running.cancel()


def _listen(host: str, port: int) -> socket.socket:
    """Open the socket. Its protocol is named: asyncio sets TCP_NODELAY only then, without which answers wait 40 ms."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        try:
            _prepare(listening)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ListenError(
            f"can't listen for HTTP on {host} port {port}: {error.strerror}: "
            "end what listens there, or set APERTURE_API__HOST and APERTURE_API__PORT"
        ) from error
    return listening


def _prepare(listening: socket.socket) -> None:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited by each connection: who takes nothing is cut off
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK_MS)
    if listening.family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` means everyone
    listening.setblocking(False)


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers: the process's signals belong to who runs us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class _Protocol(HttpToolsProtocol):
    """uvicorn's connection, with a deadline for each request to have come whole, and a limit to how many there are."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._late: Any = self.loop.call_later(REQUEST_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        if self._late.cancelled():  # more after a finished request: the next one has begun
            self._late = self.loop.call_later(REQUEST_S, self._give_up)
        super().data_received(data)

    def on_message_complete(self) -> None:
        self._late.cancel()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if hasattr(self, "_late"):
            self._late.cancel()

    def send_400_response(self, msg: str) -> None:
        body = orjson.dumps(ProblemError(NOT_HTTP, msg).body())
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
