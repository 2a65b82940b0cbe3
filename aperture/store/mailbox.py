"""Commands that wait for their camera: kept until its reply, however often it sleeps or restarts in between."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Update, case, insert, select, update

from aperture.contract.messages import Do, Manifest, Reply
from aperture.store import events, schema
from aperture.store.events import Kind


class CommandState(StrEnum):
    """How far a command is. The last four are ends."""

    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN = (CommandState.QUEUED, CommandState.SENT)


PROGRESS_GRACE_MS = 3_600_000
"""How long after its expiry a command may go on that was begun before."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One command as it is kept. `photo` is the photo that answered a shutter command, `progress` is in percent."""

    id: str
    camera: str
    do: Do
    args: dict[str, Any]
    origin: str
    state: CommandState
    created_at_ms: int
    expires_at_ms: int
    expected_at_ms: int | None
    sent_at_ms: int | None
    answered_at_ms: int | None
    error: str | None
    detail: str | None
    photo: str | None
    progress: int | None = None


def put(connection: Connection, command: Stored) -> None:
    """Keep a new command."""
    values = {field: getattr(command, field) for field in command.__slots__}
    connection.execute(insert(schema.command).values({**values, "args": json.dumps(command.args)}))
    _tell(connection, Kind.COMMAND_QUEUED, command.camera, command.id, command.created_at_ms)


def get(connection: Connection, command: str) -> Stored | None:
    """Return one command."""
    row = connection.execute(select(schema.command).where(schema.command.c.id == command)).one_or_none()
    return None if row is None else _stored(row)


def waiting(connection: Connection, *, camera: str, now_ms: int) -> list[Stored]:
    """Return the commands that a camera has not answered, oldest first."""
    query = (
        select(schema.command)
        .where(
            schema.command.c.camera == camera,
            schema.command.c.state.in_(OPEN),
            schema.command.c.expires_at_ms > now_ms,
        )
        .order_by(schema.command.c.created_at_ms)
    )
    return [_stored(row) for row in connection.execute(query)]


def unsent(connection: Connection, *, now_ms: int) -> list[Stored]:
    """Return the commands that were never sent, oldest first."""
    query = (
        select(schema.command)
        .where(schema.command.c.state == CommandState.QUEUED, schema.command.c.expires_at_ms > now_ms)
        .order_by(schema.command.c.created_at_ms)
    )
    return [_stored(row) for row in connection.execute(query)]


def sent(connection: Connection, *, command: str, now_ms: int) -> None:
    """Note that a command was handed to MQTT; it stays open until its reply."""
    changed = connection.execute(
        update(schema.command)
        .where(schema.command.c.id == command, schema.command.c.state.in_(OPEN))
        .values(state=CommandState.SENT, sent_at_ms=now_ms)
        .returning(schema.command.c.camera)
    ).one_or_none()
    if changed is not None:
        _tell(connection, Kind.COMMAND_SENT, changed.camera, command, now_ms)


def answer(connection: Connection, *, camera: str, reply: Reply, now_ms: int) -> bool:
    """Take a camera's reply; return False when it has no such open command (a duplicate, or another's).

    A reply that only tells of progress ends nothing.
    """
    if reply.ok is None:
        return _progress(connection, camera, reply, now_ms)
    state = CommandState.DONE if reply.ok else CommandState.FAILED
    if reply.error == CommandState.EXPIRED:
        state = CommandState.EXPIRED
    return _end(connection, reply.command, camera, state, now_ms, error=reply.error, detail=reply.detail)


def photographed(connection: Connection, *, camera: str, manifest: Manifest) -> None:
    """Tie the photo that a manifest announces to the shutter command that it names."""
    if manifest.command is not None:
        connection.execute(
            update(schema.command)
            .where(schema.command.c.id == manifest.command, schema.command.c.camera == camera)
            .values(photo=manifest.photo)
        )


def cancel(connection: Connection, *, command: str, now_ms: int) -> bool:
    """End a command that was never sent; return whether it could be."""
    known = get(connection, command)
    if known is None or known.state is not CommandState.QUEUED:
        return False
    return _end(connection, command, known.camera, CommandState.CANCELLED, now_ms)


def expire(connection: Connection, *, now_ms: int, grace_ms: int = 0) -> list[str]:
    """End the commands whose time is over, and return their ids.

    A command that was sent gets `grace_ms` more: the camera may have acted in time and its reply be on the way. One
    that told of progress has `PROGRESS_GRACE_MS`: it was begun in time, and takes what it takes.
    """
    table = schema.command.c
    grace = case(
        (table.progress.is_not(None), PROGRESS_GRACE_MS), (table.state == CommandState.SENT, grace_ms), else_=0
    )
    overdue = connection.execute(
        select(schema.command).where(table.state.in_(OPEN), table.expires_at_ms + grace <= now_ms)
    ).all()
    for row in overdue:
        _end(connection, row.id, row.camera, CommandState.EXPIRED, now_ms, error="expired")
    return [row.id for row in overdue]


def _progress(connection: Connection, camera: str, reply: Reply, now_ms: int) -> bool:
    changed = connection.execute(_open(reply.command, camera).values(progress=reply.progress))
    if changed.rowcount == 0:
        return False
    _tell(connection, Kind.COMMAND_PROGRESS, camera, reply.command, now_ms)
    return True


def _end(
    connection: Connection,
    command: str,
    camera: str,
    state: CommandState,
    now_ms: int,
    *,
    error: str | None = None,
    detail: str | None = None,
) -> bool:
    changed = connection.execute(
        _open(command, camera).values(state=state, answered_at_ms=now_ms, error=error, detail=detail)
    )
    if changed.rowcount == 0:
        return False
    _tell(connection, Kind.COMMAND_ENDED, camera, command, now_ms)
    return True


def _open(command: str, camera: str) -> Update:
    """Return the change of a command that this camera has not answered yet."""
    table = schema.command.c
    return update(schema.command).where(table.id == command, table.camera == camera, table.state.in_(OPEN))


def _tell(connection: Connection, kind: Kind, camera: str, command: str, now_ms: int) -> None:
    row = get(connection, command)
    body: dict[str, Any] = {"command": command}
    if row is not None:
        body |= {"do": row.do, "state": row.state, "photo": row.photo}
        body |= {} if row.progress is None else {"progress": row.progress}
    events.append(connection, kind, at_ms=now_ms, camera=camera, body=body)


def _stored(row: Row[Any]) -> Stored:
    return Stored(
        id=row.id,
        camera=row.camera,
        do=Do(row.do),
        args=json.loads(row.args),
        origin=row.origin,
        state=CommandState(row.state),
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        expected_at_ms=row.expected_at_ms,
        sent_at_ms=row.sent_at_ms,
        answered_at_ms=row.answered_at_ms,
        error=row.error,
        detail=row.detail,
        photo=row.photo,
        progress=row.progress,
    )
