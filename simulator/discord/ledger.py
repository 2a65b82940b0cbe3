"""What came in: each request with the instant at which its body was whole, and the messages that it made.

Bounded: the oldest messages go first, by number and by bytes; a request's record keeps the attachments' hashes.
"""

import asyncio
import hashlib
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DISCORD_EPOCH_MS = 1_420_070_400_000


def wall_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return the monotonic clock in milliseconds."""
    return time.monotonic_ns() // 1_000_000


class Snowflakes:
    """Makes Discord's ids: the milliseconds since 2015 above 22 bits of counter."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def next(self) -> str:
        """Return a new id."""
        return str((wall_ms() - DISCORD_EPOCH_MS) << 22 | next(self._count) & 0x3FFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a message, as the stand-in keeps it."""

    id: str
    filename: str
    content_type: str
    description: str | None
    sha256: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that was accepted. `received_ns` is CLOCK_MONOTONIC when its request's body was whole."""

    id: str
    webhook_id: str
    channel_id: str
    payload: dict[str, Any]
    attachments: tuple[Attachment, ...]
    received_ns: int
    created_at_ms: int
    edited_at_ms: int | None = None

    @property
    def embeds(self) -> list[dict[str, Any]]:
        """The message's embeds as they were given."""
        return self.payload.get("embeds") or []

    @property
    def bytes(self) -> int:
        """The bytes that its attachments hold in memory."""
        return sum(len(attachment.data) for attachment in self.attachments)


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request, without its token. `received_ns` is None when the body never came whole; `status` when nothing
    was answered."""  # noqa: D205, D209 - one sentence

    number: int
    method: str
    webhook_id: str
    started_ns: int
    received_ns: int | None = None
    received_at_ms: int | None = None
    body_bytes: int = 0
    sha256: tuple[str, ...] = ()
    status: int | None = None
    code: int | None = None
    message_id: str | None = None
    fault: str | None = None


class Ledger:
    """Keeps requests and messages, and wakes who waits for them."""

    def __init__(self, *, max_messages: int, max_bytes: int, max_requests: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._bytes = 0
        self._messages: OrderedDict[str, Message] = OrderedDict()
        self._changed = asyncio.Event()
        self.requests: deque[RequestRecord] = deque(maxlen=max_requests)
        self.request_total = 0
        self.message_total = 0
        self.version = 0

    @property
    def messages(self) -> list[Message]:
        """The messages that are kept, oldest first."""
        return list(self._messages.values())

    def open(self, *, method: str, webhook_id: str) -> RequestRecord:
        """Begin the record of a request."""
        self.request_total += 1
        record = RequestRecord(
            number=self.request_total, method=method, webhook_id=webhook_id, started_ns=time.monotonic_ns()
        )
        self.requests.append(record)
        return record

    def find(self, message_id: str) -> Message | None:
        """Return a message that is kept."""
        return self._messages.get(message_id)

    def add(self, message: Message) -> None:
        """Keep a new message; the oldest go when there are too many, or too many bytes."""
        self.message_total += 1
        self._messages[message.id] = message
        self._bytes += message.bytes
        while len(self._messages) > 1 and self._is_over():
            _, oldest = self._messages.popitem(last=False)
            self._bytes -= oldest.bytes
        self.changed()

    def replace(self, message: Message) -> None:
        """Put an edited message in its own place."""
        self._bytes += message.bytes - self._messages[message.id].bytes
        self._messages[message.id] = message
        self.changed()

    def remove(self, message_id: str) -> None:
        """Forget a message that was deleted."""
        self._bytes -= self._messages.pop(message_id).bytes
        self.changed()

    def clear(self) -> None:
        """Forget everything but the totals."""
        self._messages.clear()
        self.requests.clear()
        self._bytes = 0
        self.changed()

    def changed(self) -> None:
        """Wake everyone who waits."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_until(self, holds: Callable[[], bool], *, timeout_ms: int) -> None:
        """Wait until `holds`; looked at whenever something has changed.

        Raises:
            TimeoutError: it does not hold in time.
        """
        async with asyncio.timeout(timeout_ms / 1000):
            while not holds():
                await self._changed.wait()

    def _is_over(self) -> bool:
        return len(self._messages) > self._max_messages or self._bytes > self._max_bytes


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
