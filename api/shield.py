"""Around every request: a limit to its size, headers that keep browsers careful, an answer in any case, a log line."""

import time
import traceback
from collections.abc import Iterable

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import INTERNAL, TOO_LARGE, ProblemError

log = structlog.get_logger(__name__)

_DEFAULTS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)
_QUIET = {"GET", "HEAD"}

MAX_BODY_BYTES = 64 * 1024


class Shield:
    """ASGI middleware; the outermost of ours."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; whatever becomes of it, there is an answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_missing(message["headers"])]
            await send(message)

        try:
            if _announced(scope) > MAX_BODY_BYTES:
                await ProblemError(TOO_LARGE, TOO_LARGE.example).response()(scope, receive, watched)
            else:
                await self._app(scope, _limited(receive), watched)
        except Exception:  # noqa: BLE001 - the last resort: whoever asked gets an answer
            # As text: some renderers would print the variables, and tokens, along with it.
            trace = traceback.format_exc()
            log.error("request failed", method=scope["method"], path=_path(scope), exception=trace)  # noqa: TRY400 - see trace
            if not status:  # else half an answer is out: the server closes the connection, and the asker sees it
                await ProblemError(INTERNAL, INTERNAL.example).response()(scope, receive, watched)
        finally:
            _tell(scope, status, began)


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """Pass a body on as long as it keeps to the limit, whatever length it was said to have, or none."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise HTTPException(TOO_LARGE.status)
        return message

    return limited


def _missing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    return [pair for pair in _DEFAULTS if pair[0] not in there]


def _tell(scope: Scope, status: int, began: float) -> None:
    """Never the query, never a header: both may hold what is nobody's business."""
    tell = log.debug if scope["method"] in _QUIET and status < 400 else log.info  # noqa: PLR2004 - 4xx and 5xx
    tell(
        "request",
        method=scope["method"],
        path=_path(scope),
        status=status,
        ms=round((time.perf_counter() - began) * 1000, 1),
        by=scope.get("aperture.caller"),
    )


def _path(scope: Scope) -> str:
    return scope.get("raw_path", b"").decode("ascii", "replace")[:200]
