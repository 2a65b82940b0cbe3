"""One attempt at Discord's webhook API, and what is certain of it afterwards.

It never retries: a retry is a decision for who keeps the outbox (`outcomes` says what each outcome allows). One
session, kept-alive connections: an attempt on a warm one costs the transfer, not a handshake.
"""

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
import structlog

from bridge.discord.limiter import Limiter, Route
from bridge.discord.outcomes import (
    Answer,
    Outcome,
    Parked,
    RateLimited,
    Scope,
    Unknown,
    Unreachable,
    classify,
)
from bridge.discord.webhook import DISCORD_API_BASE, Webhook

log = structlog.get_logger(__name__)

PROJECT_URL: Final = "https://github.com/marcus-frisch/AA3"
USER_AGENT: Final = f"DiscordBot ({PROJECT_URL}, {version('aperture-archive')})"

_PIECE_BYTES = 256 * 1024
_MAX_ANSWER_BYTES = 1024 * 1024
_KEEPALIVE_S = 120


@dataclass(frozen=True, slots=True)
class File:
    """One file to upload, `name` as `attachment://name` says it."""

    name: str
    data: bytes
    content_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Message:
    """A payload and its files; `files[n]` is the attachment with the id n."""

    payload: Mapping[str, Any]
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long each step may take; an upload also gets the time that its size needs on the slowest uplink."""

    connect_ms: int = 5_000
    reply_ms: int = 15_000
    slowest_bytes_per_s: int = 20_000

    def timeout(self, size: int) -> aiohttp.ClientTimeout:
        """Return aiohttp's timeouts for a request of `size` bytes."""
        total_ms = self.connect_ms + self.reply_ms + size * 1000 // self.slowest_bytes_per_s
        connect_s = self.connect_ms / 1000
        return aiohttp.ClientTimeout(total=total_ms / 1000, connect=connect_s, sock_read=self.reply_ms / 1000)


class _Body:
    """A request's body, which knows whether its last bytes have been handed over to the connection."""

    def __init__(self, content: bytes, content_type: str, tail_bytes: int) -> None:
        self.content = content
        self.headers = {"Content-Type": content_type, "Content-Length": str(len(content))}
        self.handed_over = False
        self._tail_at = len(content) - tail_bytes

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        view = memoryview(self.content)
        for start in range(0, self._tail_at, _PIECE_BYTES):
            yield view[start : min(start + _PIECE_BYTES, self._tail_at)]
        self.handed_over = True
        yield view[self._tail_at :]


class WebhookClient:
    """Posts, edits and deletes: `async with WebhookClient(...) as client: await client.post(webhook, message)`.

    Every method makes at most one request, and none when the limiter says wait (`RateLimited` of scope `OURS`).
    """

    def __init__(
        self,
        *,
        limiter: Limiter,
        api_base: str = DISCORD_API_BASE,
        deadlines: Deadlines | None = None,
        user_agent: str = USER_AGENT,
    ) -> None:
        self.limiter = limiter
        self._api_base = api_base.rstrip("/")
        self._deadlines = deadlines or Deadlines()
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=300)
        self._session = aiohttp.ClientSession(connector=connector, headers={"User-Agent": self._user_agent})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def post(self, webhook: Webhook, message: Message) -> Outcome:
        """Execute Webhook with `wait=true`: the answer has the message's id."""
        return await self._attempt("POST", webhook, "", message)

    async def edit(self, webhook: Webhook, message_id: str, message: Message) -> Outcome:
        """Edit Webhook Message. What the payload does not name stays, attachments included."""
        return await self._attempt("PATCH", webhook, f"/messages/{message_id}", message)

    async def delete(self, webhook: Webhook, message_id: str) -> Outcome:
        """Delete Webhook Message: `Deleted` also when it was gone before."""
        return await self._attempt("DELETE", webhook, f"/messages/{message_id}", None)

    async def look(self, webhook: Webhook) -> Outcome:
        """Get Webhook: `Found` has the channel's id. Opens the connection that the next photo will use."""
        return await self._attempt("GET", webhook, "", None)

    async def _attempt(self, method: str, webhook: Webhook, path: str, message: Message | None) -> Outcome:
        route = Route(webhook_id=webhook.id, method=method, thread_id=webhook.thread_id)
        wait_ms = self.limiter.take(route)
        if wait_ms:
            return RateLimited(wait_ms, Scope.OURS)
        try:
            outcome, answer = await self._request(method, webhook, path, _encode(message))
        except BaseException:
            self.limiter.answered(route, None, {})
            raise
        self.limiter.answered(route, outcome, answer.headers if answer else {})
        _tell(outcome, webhook, method)
        return outcome

    async def _request(
        self, method: str, webhook: Webhook, path: str, body: _Body | None
    ) -> tuple[Outcome, Answer | None]:
        if self._session is None:
            return Unreachable("the client is closed"), None
        url = f"{self._api_base}/webhooks/{webhook.id}/{webhook.token.get_secret_value()}{path}"
        query = {"wait": "true"} if method == "POST" else {}
        if webhook.thread_id:
            query["thread_id"] = webhook.thread_id
        try:
            async with self._session.request(
                method,
                url,
                params=query,
                data=body,
                headers=body.headers if body else None,
                timeout=self._deadlines.timeout(len(body.content) if body else 0),
                allow_redirects=False,
            ) as response:
                answer = Answer(status=response.status, headers=response.headers, body=await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _lost(error, body), None
        return classify(answer, method), answer


def _encode(message: Message | None) -> _Body | None:
    """Return the message as a body: JSON alone, or multipart of `payload_json` and `files[n]`.

    Built by hand and anew for each attempt: a form that was sent once can be empty the second time, and the library's
    reads larger files in a thread.
    """
    if message is None:
        return None
    payload = orjson.dumps({"allowed_mentions": {"parse": []}, **message.payload})
    if not message.files:
        return _Body(payload, "application/json", tail_bytes=1)
    boundary = secrets.token_hex(16)
    parts = [_part(boundary, 'name="payload_json"', "application/json"), payload]
    for index, file in enumerate(message.files):
        named = f'name="files[{index}]"; filename="{_quoted(file.name)}"'
        parts += [_part(boundary, named, file.content_type, first=False), file.data]
    end = f"\r\n--{boundary}--\r\n".encode()
    return _Body(b"".join([*parts, end]), f"multipart/form-data; boundary={boundary}", tail_bytes=len(end))


def _part(boundary: str, named: str, content_type: str, *, first: bool = True) -> bytes:
    line = "" if first else "\r\n"
    head = f"{line}--{boundary}\r\nContent-Disposition: form-data; {named}\r\nContent-Type: {content_type}\r\n\r\n"
    return head.encode()


def _quoted(name: str) -> str:
    """Escape a file's name as HTML's multipart/form-data rules do."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the answer's body, as much as came: its status counts even where the rest was lost."""
    body = bytearray()
    try:
        async for piece in response.content.iter_chunked(_MAX_ANSWER_BYTES):
            body += piece
            if len(body) >= _MAX_ANSWER_BYTES:
                break
    except (aiohttp.ClientError, TimeoutError, OSError):
        return bytes(body)
    return bytes(body)


def _lost(error: Exception, body: _Body | None) -> Outcome:
    """Return what a broken exchange means. Never the error's own words: aiohttp's repeat the URL, token and all."""
    never_connected = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    reason = f"{type(error).__name__}{_os_words(error)}"
    if never_connected or (body is not None and not body.handed_over):
        return Unreachable(reason)
    return Unknown(reason)


def _os_words(error: Exception) -> str:
    cause: BaseException | None = error.__cause__ or error
    inner = getattr(error, "os_error", cause)
    words = inner.strerror if isinstance(inner, OSError) and inner.errno else None
    return f": {words}" if words and "://" not in words else ""


def _tell(outcome: Outcome, webhook: Webhook, method: str) -> None:
    match outcome:
        case Parked(reason=reason):
            log.error("webhook refuses us for good", webhook=webhook.id, method=method, reason=reason)
        case Unknown(reason=reason) | Unreachable(reason=reason):
            log.warning("no answer from discord", webhook=webhook.id, method=method, reason=reason)
        case RateLimited(retry_after_ms=wait_ms, scope=scope):
            log.warning("discord says wait", webhook=webhook.id, wait_ms=wait_ms, scope=scope)
        case _:
            log.debug("discord answered", webhook=webhook.id, method=method, outcome=type(outcome).__name__)
