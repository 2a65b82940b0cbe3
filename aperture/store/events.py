"""What happened, in order: one row each, written in the transaction of the change itself.

Ids grow in the order of the commits, as SQLite has one writer at a time: who has read up to an id misses nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from aperture.store import schema


class Kind(StrEnum):
    """What an event tells."""

    PHOTO_ANNOUNCED = "photo.announced"
    PHOTO_STORED = "photo.stored"
    PHOTO_ENRICHED = "photo.enriched"
    PHOTO_SUSPECT = "photo.suspect"
    PHOTO_MENDED = "photo.mended"
    PHOTO_MISSING = "photo.missing"
    PHOTO_POSTED = "photo.posted"
    PHOTO_DELETED = "photo.deleted"
    CAMERA_ADDED = "camera.added"
    CAMERA_REVOKED = "camera.revoked"
    CAMERA_PRESENCE = "camera.presence"
    CAMERA_STATUS = "camera.status"
    COMMAND_QUEUED = "command.queued"
    COMMAND_SENT = "command.sent"
    COMMAND_PROGRESS = "command.progress"
    COMMAND_ENDED = "command.ended"
    DESTINATION_PARKED = "destination.parked"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    id: int
    kind: str
    camera: str | None
    photo: str | None
    at_ms: int
    body: dict[str, Any]


_INSERT = insert(schema.event)
_AFTER = (
    select(schema.event)
    .where(schema.event.c.id > bindparam("after"))
    .order_by(schema.event.c.id)
    .limit(bindparam("most"))
)
_CURSOR_ROW = upsert(schema.cursor)
_ADVANCE = _CURSOR_ROW.on_conflict_do_update(index_elements=["name"], set_={"event_id": _CURSOR_ROW.excluded.event_id})
_LAST = select(func.max(schema.event.c.id))


def append(
    connection: Connection,
    kind: Kind,
    *,
    at_ms: int,
    camera: str | None = None,
    photo: str | None = None,
    body: dict[str, Any] | None = None,
) -> None:
    """Write one event."""
    text = json.dumps(body, separators=(",", ":")) if body else None
    connection.execute(_INSERT, {"kind": kind, "camera": camera, "photo": photo, "at_ms": at_ms, "body": text})


def append_all(connection: Connection, kind: Kind, rows: Sequence[tuple[int, str, str]]) -> None:
    """Write one event of the same kind for each (at_ms, camera, photo), in this order."""
    connection.execute(
        _INSERT,
        [
            {"kind": kind, "camera": camera, "photo": photo, "at_ms": at_ms, "body": None}
            for at_ms, camera, photo in rows
        ],
    )


def after(connection: Connection, event_id: int, *, limit: int = 500) -> list[Event]:
    """Return the events after an id, oldest first."""
    return [_event(row) for row in connection.execute(_AFTER, {"after": event_id, "most": limit})]


def last_id(connection: Connection) -> int:
    """Return the newest event's id, 0 when there is none."""
    return connection.execute(_LAST).scalar() or 0


def cursor(connection: Connection, name: str) -> int:
    """Return how far the durable reader `name` is."""
    query = select(schema.cursor.c.event_id).where(schema.cursor.c.name == name)
    return connection.execute(query).scalar() or 0


def advance(connection: Connection, name: str, event_id: int) -> None:
    """Write down how far the durable reader `name` is, in the transaction of what it did."""
    connection.execute(_ADVANCE, {"name": name, "event_id": event_id})


def prune(connection: Connection, *, before_ms: int) -> int:
    """Drop events older than this which every durable reader has seen, but never the newest; return how many."""
    seen = connection.execute(select(func.min(schema.cursor.c.event_id))).scalar()
    upto = min(last_id(connection) - 1, last_id(connection) if seen is None else seen)
    old = delete(schema.event).where(schema.event.c.at_ms < before_ms, schema.event.c.id <= upto)
    return connection.execute(old).rowcount


def _event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        kind=row.kind,
        camera=row.camera,
        photo=row.photo,
        at_ms=row.at_ms,
        body=json.loads(row.body) if row.body else {},
    )
