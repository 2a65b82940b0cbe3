"""What came of an attempt, as the outbox must know it: was it posted, is that certain, and whose turn is it.

The rules are Discord's (HTTP status, JSON error codes) where an answer came, and those of the connection where none
did: a request whose last bytes were never handed over can't have been carried out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import orjson

UNKNOWN_MESSAGE = 10008
CLOUDFLARE_BLOCKED = 40333
MAX_WAIT_MS = 24 * 3_600_000
_MAX_WORDS = 300


class Scope(StrEnum):
    """Who a 429 is for."""

    USER = "user"  # this webhook
    SHARED = "shared"  # the channel, whoever asks
    GLOBAL = "global"  # everything that we send
    CLOUDFLARE = "cloudflare"  # our address: Discord itself was not reached
    OURS = "ours"  # our own limiter; nothing was sent


@dataclass(frozen=True, slots=True)
class Posted:
    """It is in Discord. Without a message id only where the answer was cut off after its 200."""

    message_id: str | None
    channel_id: str | None
    attachment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """The message is gone: deleted now, or (404, 10008) by somebody before."""


@dataclass(frozen=True, slots=True)
class Found:
    """The webhook is there and takes us: the channel that it posts to, and its name."""

    channel_id: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Not posted: wait. `jumped` says that Discord refused although its own headers left room."""

    retry_after_ms: int
    scope: Scope
    jumped: bool = False


@dataclass(frozen=True, slots=True)
class Parked:
    """Not posted, and never call this webhook again until its owner has mended it."""

    reason: str
    status: int
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not posted, and never will be as it is: mend it or set it aside."""

    error: str
    status: int
    code: int | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether a smaller photo would do."""
        return self.status == 413  # noqa: PLR2004 - HTTP: content too large


@dataclass(frozen=True, slots=True)
class Unknown:
    """Perhaps posted: try again after a pause, and mark it as such."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Certainly not posted: nothing, or not all of it, has left."""

    reason: str


Outcome = Posted | Deleted | Found | RateLimited | Parked | Rejected | Unknown | Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, its body perhaps cut off."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body's object, empty when there is none."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return cast("dict[str, Any]", body) if isinstance(body, dict) else {}

    @property
    def claims_json(self) -> bool:
        """Whether the headers promise JSON, whole or not."""
        return self.headers.get("Content-Type", "").startswith("application/json")


def classify(answer: Answer, method: str = "POST") -> Outcome:  # noqa: PLR0911 - one table, one row a line
    """Return what Discord's answer to a request of this method means."""
    status, body = answer.status, answer.json()
    code = _integer(body.get("code"))
    match status:
        case _ if 200 <= status < 300:  # noqa: PLR2004 - HTTP's classes
            return _succeeded(answer, body, method)
        case 429:
            return _rate_limited(answer, body)
        case 403 if code == CLOUDFLARE_BLOCKED or _is_cloudflare_page(answer):
            return RateLimited(0, Scope.CLOUDFLARE)
        case 404 if code == UNKNOWN_MESSAGE:
            return Deleted()
        case 401 | 403 | 404:
            return Parked(_words(answer, body), status, code)
        case 408:
            return Unknown(_words(answer, body))
        case _ if 300 <= status < 400:  # noqa: PLR2004
            return Unreachable(f"HTTP {status}: a redirect; is something between here and Discord?")
        case _ if 400 <= status < 500:  # noqa: PLR2004
            return Rejected(_words(answer, body), status, code)
        case _:
            return Unknown(_words(answer, body))


def _succeeded(answer: Answer, body: dict[str, Any], method: str) -> Outcome:
    match method:
        case "DELETE":
            return Deleted()
        case "GET" if body:
            return Found(_text(body.get("channel_id")), _text(body.get("name")))
        case "GET":
            return Unknown(f"HTTP {answer.status} without JSON: is api_base right?")
        case _:
            return _posted(answer, body)


def _is_cloudflare_page(answer: Answer) -> bool:
    """Whether the edge answered in Discord's place: a page for people, where Discord's own 403 is JSON."""
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    return is_page and answer.headers.get("Server", "").lower() == "cloudflare"


def _posted(answer: Answer, body: dict[str, Any]) -> Outcome:
    message_id = body.get("id")
    if isinstance(message_id, str):
        ids = (_text(one.get("id")) for one in _objects(body.get("attachments")))
        return Posted(message_id, _text(body.get("channel_id")), tuple(one for one in ids if one))
    if answer.status == 204 or answer.claims_json:  # noqa: PLR2004 - HTTP: no content
        return Posted(None, None)
    return Unknown(f"HTTP {answer.status} without JSON: is api_base right?")


def _rate_limited(answer: Answer, body: dict[str, Any]) -> RateLimited:
    said_ms = max(_milliseconds(body.get("retry_after")), _milliseconds(answer.headers.get("Retry-After")))
    wait_ms = min(said_ms, MAX_WAIT_MS)
    # Without Via it did not come from Discord; but whoever names the wait in Discord's JSON is taken at their word.
    if not body or ("Via" not in answer.headers and "retry_after" not in body):
        return RateLimited(wait_ms, Scope.CLOUDFLARE)
    scope = answer.headers.get("X-RateLimit-Scope", "")
    if body.get("global") is True or scope == Scope.GLOBAL or "X-RateLimit-Global" in answer.headers:
        return RateLimited(wait_ms, Scope.GLOBAL)
    jumped = _milliseconds(answer.headers.get("X-RateLimit-Remaining")) > 0
    return RateLimited(wait_ms, Scope.SHARED if scope == Scope.SHARED else Scope.USER, jumped=jumped)


def _objects(value: object) -> list[dict[str, Any]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _milliseconds(seconds: object) -> int:
    """Return seconds (a number, or its text) in ms; 0 for anything else."""
    try:
        value = float(seconds) if isinstance(seconds, int | float | str) else 0.0
        return max(0, round(value * 1000))
    except (ValueError, OverflowError):
        return 0


def _words(answer: Answer, body: dict[str, Any]) -> str:
    """Return Discord's error in words: its message, and each form error with its path."""
    message = str(body.get("message") or "no JSON")
    details = "; ".join(_form_errors(body.get("errors"), ""))
    return f"HTTP {answer.status}: {message}{': ' if details else ''}{details}"[:_MAX_WORDS]


def _form_errors(node: object, path: str) -> list[str]:
    if not isinstance(node, dict):
        return []
    found: list[str] = []
    for key, below in cast("dict[str, Any]", node).items():
        if key == "_errors":
            found += [f"{path or 'payload'}: {item.get('message')}" for item in _objects(below)]
        else:
            found += _form_errors(below, f"{path}.{key}" if path else key)
    return found
