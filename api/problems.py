"""Every error as a problem document (RFC 9457), and the one table that says which exception becomes which.

ApiError                 the root of what this package raises
├── ProblemError         answered with the problem that it carries
└── ListenError          (server) the address can't be listened on
"""

import http
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aperture.commands import CameraAsleepError, CommandRefusedError
from aperture.contract.ids import ContractError
from aperture.store.errors import (
    ConflictError,
    DamagedError,
    DiskFullError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5


class Problem(BaseModel):
    """What went wrong (RFC 9457). Some types carry more members, named in their description."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Names the kind of problem; stable, meant for programs.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status code.")
    detail: str = Field(description="What went wrong this time, and what to do.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. `example` is a `detail` that it may come with."""

    slug: str
    status: int
    title: str
    example: str

    @property
    def type(self) -> str:
        """The URI of the kind."""
        return f"urn:aperture:problem:{self.slug}"


ROUTE_NOT_FOUND = Kind("no-such-route", 404, "Nothing lives at this address", "there is nothing at this address")
NOT_FOUND = Kind("not-found", 404, "Not found", "there is no such photo")
UNAUTHORIZED = Kind("unauthorized", 401, "A valid token is needed", "send `Authorization: Bearer TOKEN`")
FORBIDDEN = Kind(
    "forbidden", 403, "The token may not do this", "this needs an operator's token; this one is a reader's"
)
METHOD = Kind("method-not-allowed", 405, "The address does not take this method", "use GET")
NOT_HTTP = Kind("not-http", 400, "That is no HTTP request", "Invalid HTTP request received.")
INVALID = Kind(
    "invalid-request", 422, "The request is not valid", "query.limit: Input should be less than or equal to 200"
)
TOO_LARGE = Kind("too-large", 413, "The request's body is too large", "send at most 65536 bytes")
RANGE = Kind("range-not-satisfiable", 416, "The range lies outside the image", "the image has 48213 bytes")
CONFLICT = Kind("conflict", 409, "It is in the way of what is there", "the command was sent already")
ASLEEP = Kind("camera-asleep", 409, "The camera is asleep", "front-door is asleep: press its shutter, or ask later")
COMMAND_FAILED = Kind("command-failed", 502, "The camera could not do it", "front-door: busy: too many presses wait")
UNDECODABLE = Kind("photo-undecodable", 422, "The photo can't be decoded", "the image's data is broken: no thumbnail")
DAMAGED = Kind("photo-damaged", 500, "The photo's bytes were changed on the disk", "restore the photo from a backup")
INTERNAL = Kind("internal", 500, "Something is wrong in the server", "the server's log says more")
BUSY = Kind("busy", 503, "Too much at once", "too many live streams are open: close one, or try again")
UNAVAILABLE = Kind("unavailable", 503, "The store does not answer", "the database does not answer: try again")
NOT_READY = Kind("not-ready", 503, "Not ready", "photos: the folder can't be written")
FULL = Kind("disk-full", 507, "The disk is full", "the disk with the photos is full: make room")


class ApiError(Exception):
    """The root of what this package raises."""


class ProblemError(ApiError):
    """The request is answered with this problem. `more` are members beyond RFC 9457's own."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a problem of a kind."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def response(self) -> Response:
        """Return the answer."""
        headers = dict(self.headers)
        if self.kind.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        return Response(orjson.dumps(self.body()), self.kind.status, headers, MEDIA_TYPE)

    def body(self) -> dict[str, Any]:
        """Return the problem document."""
        kind = self.kind
        return {"type": kind.type, "title": kind.title, "status": kind.status, "detail": self.detail, **self.more}


def responses(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of an operation that may end in these problems."""
    described: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        example = {"summary": kind.title, "value": ProblemError(kind, kind.example).body()}
        known = described.setdefault(kind.status, _description(kind))
        known["content"][MEDIA_TYPE]["examples"][kind.slug] = example
    return described


def _description(kind: Kind) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": dict[str, Any]()}
    return {"description": http.HTTPStatus(kind.status).phrase, "content": {MEDIA_TYPE: content}}


def _invalid(error: RequestValidationError) -> ProblemError:
    """The input itself is not repeated: it may hold a secret."""
    items: Sequence[Mapping[str, Any]] = error.errors()
    errors = [{"where": ".".join(str(part) for part in item["loc"]), "what": item["msg"]} for item in items]
    detail = "; ".join(f"{item['where']}: {item['what']}" for item in errors[:5])
    return ProblemError(INVALID, detail, more={"errors": errors[:20]})


def _http(error: HTTPException) -> ProblemError:
    kind = {
        404: ROUTE_NOT_FOUND,
        405: METHOD,
        413: TOO_LARGE,
    }.get(error.status_code)
    if kind is None:
        phrase = http.HTTPStatus(error.status_code).phrase
        kind = Kind("http", error.status_code, phrase, phrase)
    return ProblemError(kind, _words(kind, error), headers=error.headers)


def _words(kind: Kind, error: HTTPException) -> str:
    if kind is METHOD:
        return f"this address takes {(error.headers or {}).get('Allow', 'other methods')}"
    return kind.example if kind in {ROUTE_NOT_FOUND, TOO_LARGE} else str(error.detail)


def _asleep(error: CameraAsleepError) -> ProblemError:
    return ProblemError(ASLEEP, str(error), more={"next_wake_at_ms": error.next_wake_at_ms})


_TABLE: dict[type[Exception], Callable[[Any], ProblemError]] = {
    ProblemError: lambda error: error,
    RequestValidationError: _invalid,
    HTTPException: _http,
    CameraAsleepError: _asleep,
    CommandRefusedError: lambda error: ProblemError(CONFLICT, str(error)),
    NotFoundError: lambda error: ProblemError(NOT_FOUND, str(error)),
    ConflictError: lambda error: ProblemError(CONFLICT, str(error)),
    DiskFullError: lambda error: ProblemError(FULL, str(error)),
    DamagedError: lambda error: ProblemError(DAMAGED, str(error)),
    StoreUnavailableError: lambda _: ProblemError(UNAVAILABLE, UNAVAILABLE.example),
    StoreError: lambda _: ProblemError(INTERNAL, INTERNAL.example),
    ContractError: lambda error: ProblemError(INVALID, str(error)),
}
"""Who becomes what. Starlette asks for the nearest class of an exception's ancestors."""


async def _handle(_request: Request, error: Exception) -> Response:
    make = next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
    return make(error).response()


HANDLERS: dict[Any, Callable[[Request, Any], Any]] = dict.fromkeys(_TABLE, _handle)
"""For `exception_handlers` of the application. What is not in here is an error of ours: see `shield`."""
