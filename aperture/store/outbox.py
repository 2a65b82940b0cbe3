"""What is to be posted where, and how far it is: one `delivery` row per photo and destination.

A delivery is `waiting`, then `sending` (committed before the attempt is made), then `posted` (with the message's id),
or `set_aside` with the reason. Whoever finds one `sending` at its start can't know whether it was posted.
Destinations can be parked: they are never called again with the secret that they were parked with.

A destination gets what was stored since the outbox last ran without one, and what still waits for the one it replaces.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Connection, String, bindparam, exists, func, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from aperture.store import events, schema
from aperture.store.events import Event, Kind

CURSOR = "outbox"
"""The name of the outbox as a durable reader of events."""

_FOREVER_MS = 2**62
_LONGEST_PAUSE_MS = 3_600_000
_delivery = schema.delivery.c


class DeliveryState(StrEnum):
    """How far a delivery is. The last two are ends, though a posted message may still be edited."""

    WAITING = "waiting"
    SENDING = "sending"
    POSTED = "posted"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where photos go. `pauses` is what the limiter saved; `parked_reason` is None while it may be called."""

    target: str
    parked_reason: str | None
    pauses: Any


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery whose attempt is written down and may now be made.

    `uncertain` counts earlier attempts of which nobody knows the outcome. An edit has `message_id`, the hash of what
    the message shows, and `edits`, how many changes it will have shown.
    """

    id: int
    photo: str
    target: str
    attempts: int
    uncertain: int
    message_id: str | None = None
    shown_sha256: str | None = None
    edits: int = 0


_CLAIM = (
    update(schema.delivery)
    .where(
        _delivery.id
        == select(_delivery.id)
        .where(
            _delivery.target == bindparam("of_target"),
            _delivery.state == DeliveryState.WAITING,
            _delivery.sort_at_ms >= bindparam("taken_from_ms"),
            _delivery.sort_at_ms < bindparam("taken_before_ms"),
            _delivery.not_before_ms <= bindparam("at_ms"),
        )
        .order_by(_delivery.sort_at_ms, _delivery.id)
        .limit(1)
        .scalar_subquery(),
        exists().where(
            schema.lease.c.name == bindparam("lease_name"),
            schema.lease.c.holder == bindparam("lease_holder"),
        ),
    )
    .values(
        state=DeliveryState.SENDING, attempts=_delivery.attempts + 1, edit_wanted=0, updated_at_ms=bindparam("at_ms")
    )
    .returning(_delivery.id, _delivery.photo, _delivery.attempts, _delivery.uncertain)
)
_EDIT = (
    select(schema.delivery)
    .where(
        _delivery.target == bindparam("of_target"),
        _delivery.state == DeliveryState.POSTED,
        _delivery.edit_wanted > 0,
        _delivery.message_id.is_not(None),  # unknown where Discord's answer was cut off after its 200
        _delivery.not_before_ms <= bindparam("at_ms"),
    )
    .order_by(_delivery.sort_at_ms, _delivery.id)
    .limit(1)
)
_STORED = {Kind.PHOTO_STORED, Kind.PHOTO_MENDED}
_CHANGED = {Kind.PHOTO_ENRICHED, Kind.PHOTO_MENDED}
_AT_MS = bindparam("at_ms", type_=BigInteger)
_NEW = (
    upsert(schema.delivery)
    .from_select(  # what is not named here takes the table's defaults
        ["photo", "target", "state", "sort_at_ms", "created_at_ms", "updated_at_ms"],
        select(
            schema.photo.c.id,
            bindparam("of_target", type_=String),
            literal(DeliveryState.WAITING.value),
            schema.photo.c.sort_at_ms,
            _AT_MS,
            _AT_MS,
        ).where(schema.photo.c.id == bindparam("of_photo", type_=String), schema.photo.c.deleted_at_ms.is_(None)),
    )
    .on_conflict_do_nothing()
)


def open_destination(connection: Connection, *, target: str, fingerprint: str, now_ms: int) -> Destination:
    """Return a destination as it was left; it appears when it is new.

    It is parked no more when `fingerprint` (SHA-256 of its secret) is another than that it was parked with. What
    still waits for other destinations, which are configured no longer, now waits for this one.
    """
    connection.execute(upsert(schema.destination).values(target=target).on_conflict_do_nothing())
    table = schema.destination.c
    connection.execute(
        update(schema.destination)
        .where(table.target == target, table.parked_at_ms.is_not(None), table.fingerprint != fingerprint)
        .values(parked_at_ms=None, parked_reason=None, fingerprint=None)
    )
    _inherit(connection, target, now_ms)
    connection.execute(  # written by a clock that ran ahead: nothing pauses that long
        update(schema.delivery)
        .where(_delivery.target == target, _delivery.not_before_ms > now_ms + _LONGEST_PAUSE_MS)
        .values(not_before_ms=now_ms)
    )
    row = connection.execute(select(schema.destination).where(table.target == target)).one()
    reason = None if row.parked_at_ms is None else row.parked_reason or "parked"
    return Destination(target, reason, json.loads(row.pauses) if row.pauses else None)


def recover(connection: Connection, *, target: str, retry_at_ms: int, now_ms: int) -> list[str]:
    """Let wait again what a process that is gone was sending; return the photos. Call it with the lease held.

    Nobody knows whether those were posted: they count as uncertain and pause until `retry_at_ms`.
    """
    found = connection.execute(
        update(schema.delivery)
        .where(_delivery.target == target, _delivery.state == DeliveryState.SENDING)
        .values(
            state=DeliveryState.WAITING,
            uncertain=_delivery.uncertain + 1,
            not_before_ms=retry_at_ms,
            error="the server stopped before Discord had answered",
            updated_at_ms=now_ms,
        )
        .returning(_delivery.photo)
    )
    return list(found.scalars())


def fan_out(connection: Connection, *, target: str | None, after: int, now_ms: int, limit: int = 500) -> list[Event]:
    """Make deliveries of the events after `after`, write down how far that is, and return those events.

    Without a target there is nothing to make; the events count as read all the same.
    """
    found = events.after(connection, after, limit=limit)
    told = [event for event in found if event.photo is not None]
    if target is not None:
        fresh = [event.photo for event in told if event.kind in _STORED]
        for photo in fresh:
            connection.execute(_NEW, {"of_photo": photo, "of_target": target, "at_ms": now_ms})
        for event in told:
            _change(connection, event, target, now_ms)
    if found:
        events.advance(connection, CURSOR, found[-1].id)
    return found


def is_due(connection: Connection, *, target: str, now_ms: int) -> bool:
    """Return whether anything waits that may be sent or edited now."""
    query = select(_delivery.id).where(
        _delivery.target == target,
        _delivery.not_before_ms <= now_ms,
        (_delivery.state == DeliveryState.WAITING)
        | ((_delivery.state == DeliveryState.POSTED) & (_delivery.edit_wanted > 0) & _delivery.message_id.is_not(None)),
    )
    return connection.execute(query.limit(1)).first() is not None


def claim(
    connection: Connection,
    *,
    target: str,
    lease: tuple[str, str],
    now_ms: int,
    taken_from_ms: int = 0,
    taken_before_ms: int = _FOREVER_MS,
) -> Claim | None:
    """Take the waiting delivery whose photo was taken first, and write its attempt down.

    Args:
        connection: an open write transaction; make the attempt only once it is committed.
        target: whose.
        lease: name and holder of the lease that allows it; without the lease there is nothing to take.
        now_ms: the time; what must pause longer is left alone.
        taken_from_ms: only photos taken then or later.
        taken_before_ms: only photos taken before.
    """
    row = connection.execute(
        _CLAIM,
        {
            "of_target": target,
            "at_ms": now_ms,
            "taken_from_ms": taken_from_ms,
            "taken_before_ms": taken_before_ms,
            "lease_name": lease[0],
            "lease_holder": lease[1],
        },
    ).one_or_none()
    return None if row is None else Claim(row.id, row.photo, target, row.attempts, row.uncertain)


def claim_edit(connection: Connection, *, target: str, now_ms: int) -> Claim | None:
    """Return the oldest posted delivery whose message is out of date. An edit may be made twice without harm."""
    row = connection.execute(_EDIT, {"of_target": target, "at_ms": now_ms}).one_or_none()
    if row is None:
        return None
    return Claim(
        row.id, row.photo, target, row.attempts, row.uncertain, row.message_id, row.sha256, int(row.edit_wanted)
    )


def recent_sends(connection: Connection, *, target: str, since_ms: int) -> list[int]:
    """Return when something was last sent for each delivery since then, oldest first: the limiter counts on."""
    query = select(_delivery.updated_at_ms).where(
        _delivery.target == target, _delivery.attempts > 0, _delivery.updated_at_ms >= since_ms
    )
    return list(connection.execute(query.order_by(_delivery.updated_at_ms)).scalars())


def attempt_again(connection: Connection, *, claim: Claim, now_ms: int) -> Claim:
    """Write down one more attempt of a delivery that is being sent, and return the claim of that one."""
    again = replace(claim, attempts=claim.attempts + 1)
    _set_own(connection, claim, {"attempts": again.attempts, "updated_at_ms": now_ms})
    return again


def posted(
    connection: Connection, *, claim: Claim, camera: str, message_id: str | None, sha256: str | None, now_ms: int
) -> None:
    """Write down the message that a delivery became; `sha256` is that of the photo which it shows."""
    _set(
        connection,
        claim.id,
        {
            "state": DeliveryState.POSTED,
            "message_id": message_id,
            "sha256": sha256,
            "error": None,
            "not_before_ms": 0,
            "updated_at_ms": now_ms,
        },
    )
    connection.execute(
        update(schema.photo)
        .where(schema.photo.c.id == claim.photo)
        .values(posted_ms=func.coalesce(schema.photo.c.posted_ms, now_ms))
    )
    body = {"target": claim.target, "message_id": message_id}
    events.append(connection, Kind.PHOTO_POSTED, at_ms=now_ms, camera=camera, photo=claim.photo, body=body)


def edited(connection: Connection, *, claim: Claim, sha256: str | None, now_ms: int, error: str | None = None) -> None:
    """Write down that a message shows what was wanted when it was claimed, or, with `error`, that it never will."""
    values: dict[str, Any] = {"edit_wanted": _delivery.edit_wanted - claim.edits, "updated_at_ms": now_ms}
    values |= {"error": error, "not_before_ms": 0}
    if sha256 is not None:
        values["sha256"] = sha256
    _set(connection, claim.id, values)


def postpone(
    connection: Connection, *, claim: Claim, not_before_ms: int, error: str | None, uncertain: bool, now_ms: int
) -> None:
    """Let a delivery (or its edit) wait until `not_before_ms`; `uncertain` when it may have been posted after all."""
    values: dict[str, Any] = {"not_before_ms": not_before_ms, "error": error, "updated_at_ms": now_ms}
    if claim.message_id is None:
        values |= {"state": DeliveryState.WAITING, "uncertain": _delivery.uncertain + int(uncertain)}
    _set_own(connection, claim, values)


def release(connection: Connection, *, target: str, now_ms: int) -> None:
    """Let everything that pauses go now, in its order: Discord works again."""
    connection.execute(
        update(schema.delivery)
        .where(
            _delivery.target == target,
            _delivery.state.in_([DeliveryState.WAITING, DeliveryState.POSTED]),
            _delivery.not_before_ms > now_ms,
        )
        .values(not_before_ms=0)
    )


def set_aside(connection: Connection, *, claim: Claim, error: str, now_ms: int) -> None:
    """Give a delivery up: trying again as it is would be refused again."""
    _set_own(connection, claim, {"state": DeliveryState.SET_ASIDE, "error": error, "updated_at_ms": now_ms})


def park(connection: Connection, *, target: str, fingerprint: str, reason: str, now_ms: int) -> None:
    """Never call a destination again with the secret of this fingerprint; its deliveries go on waiting."""
    parked = connection.execute(
        update(schema.destination)
        .where(schema.destination.c.target == target, schema.destination.c.parked_at_ms.is_(None))
        .values(parked_at_ms=now_ms, parked_reason=reason, fingerprint=fingerprint)
    )
    if parked.rowcount:
        events.append(connection, Kind.DESTINATION_PARKED, at_ms=now_ms, body={"target": target, "reason": reason})


def save_pauses(connection: Connection, *, target: str, pauses: Any) -> None:
    """Keep the limiter's waits (anything that JSON can tell) for the next process."""
    connection.execute(
        update(schema.destination)
        .where(schema.destination.c.target == target)
        .values(pauses=None if pauses is None else json.dumps(pauses))
    )


def _inherit(connection: Connection, target: str, now_ms: int) -> None:
    of_target = schema.delivery.alias()
    taken = select(of_target.c.photo).where(of_target.c.target == target)
    connection.execute(
        update(schema.delivery)
        .where(
            _delivery.target != target,
            _delivery.state.in_([DeliveryState.WAITING, DeliveryState.SENDING]),
            _delivery.photo.not_in(taken),
        )
        .values(target=target, updated_at_ms=now_ms)
    )


def _change(connection: Connection, event: Event, target: str, now_ms: int) -> None:
    if event.kind not in _CHANGED and event.kind != Kind.PHOTO_DELETED:
        return
    mine = (_delivery.photo == event.photo) & (_delivery.target == target)
    if event.kind == Kind.PHOTO_DELETED:
        gone = {"state": DeliveryState.SET_ASIDE, "error": "the photo was deleted", "updated_at_ms": now_ms}
        connection.execute(update(schema.delivery).where(mine, _delivery.state == DeliveryState.WAITING).values(gone))
        return
    taken = select(schema.photo.c.sort_at_ms).where(schema.photo.c.id == event.photo).scalar_subquery()
    changed = {"edit_wanted": _delivery.edit_wanted + 1, "sort_at_ms": taken, "updated_at_ms": now_ms}
    connection.execute(update(schema.delivery).where(mine).values(changed))
    if event.kind == Kind.PHOTO_MENDED:  # other bytes may pass where the old ones were refused
        again = {"state": DeliveryState.WAITING, "not_before_ms": 0, "error": None}
        connection.execute(
            update(schema.delivery).where(mine, _delivery.state == DeliveryState.SET_ASIDE).values(again)
        )


def _set_own(connection: Connection, claim: Claim, values: dict[str, Any]) -> None:
    """Change a delivery unless another process has claimed it since: then the word is no longer ours."""
    own = (_delivery.id == claim.id) & (_delivery.attempts == claim.attempts)
    if claim.message_id is None:  # another's word may also be the last: what was posted stays posted
        own &= _delivery.state == DeliveryState.SENDING
    connection.execute(update(schema.delivery).where(own).values(values))


def _set(connection: Connection, delivery: int, values: dict[str, Any]) -> None:
    connection.execute(update(schema.delivery).where(_delivery.id == delivery).values(values))
