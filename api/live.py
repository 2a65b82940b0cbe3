"""Live events as server-sent events (WHATWG HTML, 9.2): each has an id, and a reader that comes back misses none."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aperture.store import events
from aperture.store.errors import StoreError
from aperture.store.events import Event
from api import examples
from api.auth import READER, Caller, Reader
from api.problems import BUSY, INVALID, ProblemError, responses
from api.services import Services, Use

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1", tags=["events"])

MEDIA_TYPE = "text/event-stream"
MOST_STREAMS = 64
KEEP_ALIVE_S = 15.0
STUCK_S = 30.0
"""A reader that takes nothing for so long is cut off; it comes back with `Last-Event-ID`."""

_RETRY_MS = 2000


@router.get(
    "/events",
    dependencies=READER,
    response_class=Response,
    responses={
        200: {
            "description": "Events as they happen, until either side closes.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": examples.EVENTS}},
        },
        **responses(INVALID, BUSY),
    },
)
async def stream_events(
    services: Use,
    caller: Reader,
    camera: Annotated[str | None, Query(max_length=32, description="Of this camera only.")] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**62, description="Go on after this event; without it, from now on.")
    ] = None,
) -> Response:
    """Stream what happens to photos, cameras and commands. The data of each event is a JSON object."""
    if services.feed.readers >= MOST_STREAMS:
        raise ProblemError(BUSY, BUSY.example)
    newest = await services.database.aread(events.last_id)
    start = newest if last_event_id is None else min(last_event_id, newest)
    return EventStream(services=services, caller=caller, camera=camera, start=start)


@dataclass(slots=True)
class _Place:
    """Where a reader is: the last event that it was told of, and when anything was sent."""

    event_id: int
    sent_at_s: float


class EventStream(Response):
    """An answer that lasts. It ends with the reader, the server, or the token."""

    media_type = MEDIA_TYPE

    def __init__(self, *, services: Services, caller: Caller, camera: str | None, start: int) -> None:
        """Tell the events after `start`, of one camera or of all."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Length": ""})
        self._services = services
        self._caller = caller
        self._camera = camera
        self._start = start

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until there is nobody left to stream to."""
        headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        pump = asyncio.create_task(self._pump(send), name="api-events")
        leaving = asyncio.create_task(_gone(receive), name="api-events-reader")
        try:
            await asyncio.wait({pump, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pump.cancel()
            leaving.cancel()
            ends = await asyncio.gather(pump, leaving, return_exceptions=True)
        if isinstance(ends[0], Exception):  # without its last chunk the connection is closed: the reader comes back
            log.warning("live stream broken off", error=repr(ends[0]))
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        feed = self._services.feed
        loop = asyncio.get_running_loop()
        async with feed.reading():
            place = _Place(self._start, loop.time())
            await self._send(send, f"retry: {_RETRY_MS}\nid: {place.event_id}\n\n".encode())
            while not feed.closing:
                left = max(0.0, place.sent_at_s + KEEP_ALIVE_S - loop.time())
                found = await feed.after(place.event_id, timeout_s=left)
                if not await self._welcome():
                    return
                place.event_id = found[-1].id if found else place.event_id
                text = b"".join(_encode(event) for event in found if self._camera in {None, event.camera})
                if not text and loop.time() < place.sent_at_s + KEEP_ALIVE_S:
                    continue
                await self._send(send, text or f": still here\nid: {place.event_id}\n\n".encode())
                place.sent_at_s = loop.time()

    async def _welcome(self) -> bool:
        """Whether the token is still good: a revoked one hears nothing more."""
        try:
            return await self._services.tokens.find(self._caller.secret) is not None
        except StoreError:
            return False

    async def _send(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(STUCK_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _encode(event: Event) -> bytes:
    data: dict[str, Any] = {
        "id": event.id,
        "kind": event.kind,
        "camera": event.camera,
        "photo": event.photo,
        "at_ms": event.at_ms,
        "body": event.body,
    }
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.encode(), orjson.dumps(data))
