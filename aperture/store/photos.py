"""A photo's life: announced (manifest seen), stored (bytes verified and durable), and what can go wrong between.

Manifest and bytes may come in either order, twice, or never; each function here may be called again with the same
facts and changes nothing then. Reading is in `gallery`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from aperture.contract.ids import ContractError, recovered_photo_id
from aperture.contract.messages import Manifest
from aperture.store import events, schema
from aperture.store.errors import ConflictError
from aperture.store.events import Kind

CLOCK_SKEW_MS = 5 * 60_000
"""A camera's clock may run ahead this far; beyond, it is wrong, and when the photo was taken is unknown."""


class State(StrEnum):
    """How far a photo is."""

    ANNOUNCED = "announced"
    MISSING = "missing"
    STORED = "stored"
    SUSPECT = "suspect"


class Origin(StrEnum):
    """Who made the photo's id: one of our cameras, or the server for a foreign one that only speaks FTP."""

    CAMERA = "camera"
    FTP = "ftp"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a photo when its bytes arrive. Hash and length are the manifest's; None before it came.

    `stored_sha256` and `stored_bytes` are those of durable bytes that are good: None while there are none, and for
    a suspect photo, whose bytes wait to be replaced. Of a `deleted` photo the bytes may be gone on purpose.
    """

    camera: str
    state: State
    bytes: int | None
    sha256: str | None
    stored_bytes: int | None
    stored_sha256: str | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """Verified bytes, as the FTP server reports them. Instants are Unix ms."""

    camera: str
    photo: str
    bytes: int
    sha256: str
    width: int
    height: int
    upload_started_ms: int
    received_ms: int
    stored_ms: int
    origin: Origin = Origin.CAMERA
    name: str | None = None


_INSERT_RECEIVED = insert(schema.photo)
_ROW = select(schema.photo).where(schema.photo.c.id == bindparam("photo_id"))
_ROWS = select(schema.photo).where(schema.photo.c.id.in_(bindparam("photo_ids", expanding=True)))


def find(connection: Connection, photo: str) -> Row[Any] | None:
    """Return a photo's row, deleted or not."""
    return connection.execute(_ROW, {"photo_id": photo}).one_or_none()


def is_announced(connection: Connection, photo: str) -> bool:
    """Whether a photo's manifest is known, not only its bytes."""
    row = find(connection, photo)
    return row is not None and row.manifest is not None


def expected(connection: Connection, photo: str) -> Expected | None:
    """Return what is known of a photo whose bytes may arrive, None when nothing is."""
    row = find(connection, photo)
    return None if row is None else _expected(row)


def expected_all(connection: Connection, photos: Sequence[str]) -> dict[str, Expected]:
    """Return what is known of these photos, by id; an unknown one is left out."""
    return {row.id: _expected(row) for row in connection.execute(_ROWS, {"photo_ids": photos})} if photos else {}


def _expected(row: Row[Any]) -> Expected:
    manifest = _told(row)
    good = row.state == State.STORED
    return Expected(
        camera=row.camera,
        state=State(row.state),
        bytes=manifest.bytes if manifest else None,
        sha256=manifest.sha256 if manifest else None,
        stored_bytes=row.bytes if good else None,
        stored_sha256=row.sha256 if good else None,
        deleted=row.deleted_at_ms is not None,
    )


def stored_among(connection: Connection, photos: Sequence[str]) -> set[str]:
    """Return those of these ids whose bytes are durable and good, deleted photos included."""
    query = select(schema.photo.c.id).where(schema.photo.c.id.in_(photos), schema.photo.c.state == State.STORED)
    return set(connection.execute(query).scalars())


def announce(connection: Connection, *, camera: str, manifest: Manifest, now_ms: int) -> State:
    """Take a camera's manifest and return the photo's state after it.

    `STORED` means that its bytes are durable and match. `SUSPECT` means that there are bytes which don't match: ask
    for a resend. Of a deleted photo nothing more is wanted: it is `STORED`, so that the camera lets go of it.

    Raises:
        ConflictError: the photo's id belongs to another camera.
    """
    row = find(connection, manifest.photo)
    if row is None and recovered(connection, camera=camera, photo=manifest.photo, sha256=manifest.sha256):
        return State.STORED
    if row is None:
        _insert_announced(connection, camera, manifest, now_ms)
        return State.ANNOUNCED
    if row.camera != camera:
        raise ConflictError(f"photo {manifest.photo} belongs to another camera")
    if row.deleted_at_ms is not None:
        return State.STORED
    known = _told(row)
    if known is not None and _same(known, manifest):
        return State(row.state)
    return _amend(connection, row, manifest, now_ms)


def receive(connection: Connection, received: Received) -> bool:
    """Take verified, durable bytes; return whether that is news (False: the same bytes were stored before).

    Raises:
        ConflictError: the photo's id belongs to another camera, or other bytes are stored under it.
    """
    (result,) = receive_all(connection, [received])
    if isinstance(result, ConflictError):
        raise result
    return result


def receive_all(connection: Connection, batch: Sequence[Received]) -> list[bool | ConflictError]:
    """`receive` a batch of different photos at the price of little more than one; a refusal is returned, not raised."""
    known = {row.id: row for row in connection.execute(_ROWS, {"photo_ids": [received.photo for received in batch]})}
    fresh = [received for received in batch if received.photo not in known]
    if fresh:
        connection.execute(_INSERT_RECEIVED, [_new_row(received) for received in fresh])
        events.append_all(
            connection,
            Kind.PHOTO_STORED,
            [(received.stored_ms, received.camera, received.photo) for received in fresh],
        )
    return [
        True if received.photo not in known else _receive_again(connection, known[received.photo], received)
        for received in batch
    ]


def _receive_again(connection: Connection, row: Row[Any], received: Received) -> bool | ConflictError:
    if row.camera != received.camera:
        return ConflictError(f"photo {received.photo} belongs to another camera")
    if row.state == State.STORED:
        if row.sha256 != received.sha256:
            return ConflictError(f"photo {received.photo} is stored with other bytes")
        return False
    return _receive_known(connection, row, received)


def _received_values(received: Received) -> dict[str, Any]:
    return {
        "state": State.STORED,
        "bytes": received.bytes,
        "sha256": received.sha256,
        "width": received.width,
        "height": received.height,
        "upload_started_ms": received.upload_started_ms,
        "received_ms": received.received_ms,
        "stored_ms": received.stored_ms,
    }


def mark_missing(connection: Connection, *, announced_before_ms: int, now_ms: int) -> list[tuple[str, str]]:
    """Mark announced photos whose bytes are overdue; return (camera, photo) of those that are so now."""
    overdue = connection.execute(
        select(schema.photo.c.camera, schema.photo.c.id).where(
            schema.photo.c.state == State.ANNOUNCED,
            schema.photo.c.announced_ms < announced_before_ms,
            schema.photo.c.deleted_at_ms.is_(None),
        )
    ).all()
    for camera, photo in overdue:
        _set(connection, photo, {"state": State.MISSING})
        events.append(connection, Kind.PHOTO_MISSING, at_ms=now_ms, camera=camera, photo=photo)
    return [(camera, photo) for camera, photo in overdue]


def wanting(connection: Connection, *, camera: str, asked_before_ms: int, most_resends: int = 5) -> list[str]:
    """Return photos of a camera whose bytes are missing or suspect and may be asked for again now."""
    query = select(schema.photo.c.id).where(
        schema.photo.c.camera == camera,
        schema.photo.c.state.in_([State.MISSING, State.SUSPECT]),
        schema.photo.c.deleted_at_ms.is_(None),
        schema.photo.c.resends < most_resends,
        (schema.photo.c.resend_asked_ms.is_(None)) | (schema.photo.c.resend_asked_ms < asked_before_ms),
    )
    return list(connection.execute(query).scalars())


def resend_asked(connection: Connection, *, photo: str, now_ms: int) -> None:
    """Write down that the camera was asked for the bytes once more."""
    connection.execute(
        update(schema.photo)
        .where(schema.photo.c.id == photo)
        .values(resend_asked_ms=now_ms, resends=schema.photo.c.resends + 1)
    )


def delete(connection: Connection, *, photo: str, now_ms: int) -> bool:
    """Hide a photo for good; return whether it was there. Its id stays taken, so that a late resend can't revive it."""
    gone = connection.execute(
        update(schema.photo)
        .where(schema.photo.c.id == photo, schema.photo.c.deleted_at_ms.is_(None))
        .values(deleted_at_ms=now_ms)
        .returning(schema.photo.c.camera)
    ).one_or_none()
    if gone is None:
        return False
    events.append(connection, Kind.PHOTO_DELETED, at_ms=now_ms, camera=gone.camera, photo=photo)
    return True


def deleted(connection: Connection) -> list[tuple[str, str]]:
    """Return (camera, photo) of all that were deleted."""
    photo = schema.photo.c
    rows = connection.execute(select(photo.camera, photo.id).where(photo.deleted_at_ms.is_not(None)))
    return [(camera, identity) for camera, identity in rows]


def same_foreign(connection: Connection, *, camera: str, name: str, sha256: str, since_ms: int) -> str | None:
    """Return the photo that a foreign camera stored under this name with these bytes since then.

    A photo without a name counts too: its server died before the row was written, and the name was lost with it.
    """
    query = select(schema.photo.c.id).where(
        schema.photo.c.camera == camera,
        (schema.photo.c.name == name) | schema.photo.c.name.is_(None),
        schema.photo.c.sha256 == sha256,
        schema.photo.c.created_at_ms >= since_ms,
    )
    return connection.execute(query).scalars().first()


def recovered(connection: Connection, *, camera: str, photo: str, sha256: str) -> str | None:
    """Return the stored photo that this one is, when its camera lost the id and made another of number and bytes."""
    query = select(schema.photo.c.id, schema.photo.c.seq).where(
        schema.photo.c.camera == camera,
        schema.photo.c.name.is_(None),  # with it the query has an index
        schema.photo.c.sha256 == sha256,
        schema.photo.c.state == State.STORED,
        schema.photo.c.seq.is_not(None),
    )
    rows = connection.execute(query)
    return next((row.id for row in rows if recovered_photo_id(row.seq, sha256) == photo != row.id), None)


def _insert_announced(connection: Connection, camera: str, manifest: Manifest, now_ms: int) -> None:
    facts = _manifest_values(manifest, now_ms)
    row = {
        "id": manifest.photo,
        "camera": camera,
        "state": State.ANNOUNCED,
        "origin": Origin.CAMERA,
        "created_at_ms": now_ms,
        "sort_at_ms": now_ms,
        "resends": 0,
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        **facts,
    }
    connection.execute(insert(schema.photo).values(row))
    events.append(connection, Kind.PHOTO_ANNOUNCED, at_ms=now_ms, camera=camera, photo=manifest.photo)


def _new_row(received: Received) -> dict[str, Any]:
    return {
        "id": received.photo,
        "camera": received.camera,
        "origin": received.origin,
        "name": received.name,
        "trigger": "ftp" if received.origin is Origin.FTP else None,
        "created_at_ms": received.stored_ms,
        "sort_at_ms": received.received_ms,
        "resends": 0,
        **_received_values(received),
    }


def _receive_known(connection: Connection, row: Row[Any], received: Received) -> bool | ConflictError:
    manifest = _told(row)
    matches = manifest is None or (manifest.sha256, manifest.bytes) == (received.sha256, received.bytes)
    if row.state == State.SUSPECT and not matches:
        return False  # the same doubtful bytes again, or others that don't match either
    if not matches:
        return ConflictError(f"photo {received.photo}: the bytes are not those of its manifest")
    _set(connection, received.photo, _received_values(received))
    if row.deleted_at_ms is not None:
        return False  # handed over, and hidden all the same
    kind = Kind.PHOTO_MENDED if row.state == State.SUSPECT else Kind.PHOTO_STORED
    events.append(connection, kind, at_ms=received.stored_ms, camera=received.camera, photo=received.photo)
    return True


def _amend(connection: Connection, row: Row[Any], manifest: Manifest, now_ms: int) -> State:
    values = _manifest_values(manifest, now_ms)
    state = State(row.state)
    kind = Kind.PHOTO_ENRICHED
    if state in {State.STORED, State.SUSPECT}:
        del values["width"], values["height"]  # the bytes decide these
        matches = (row.sha256, row.bytes) == (manifest.sha256, manifest.bytes)
        state = State.STORED if matches else State.SUSPECT
        kind = Kind.PHOTO_ENRICHED if matches else Kind.PHOTO_SUSPECT
    else:
        values |= {"bytes": manifest.bytes, "sha256": manifest.sha256}
    if row.announced_ms is not None:
        del values["announced_ms"]
    _set(connection, row.id, {**values, "state": state})
    events.append(connection, kind, at_ms=now_ms, camera=row.camera, photo=row.id)
    return state


def _manifest_values(manifest: Manifest, now_ms: int) -> dict[str, Any]:
    taken_at_ms = taken(manifest, now_ms)
    values: dict[str, Any] = {
        "seq": manifest.seq,
        "trigger": manifest.trigger,
        "command": manifest.command,
        "width": manifest.width,
        "height": manifest.height,
        "manifest": manifest.encode().decode(),
        "announced_ms": now_ms,
    }
    if taken_at_ms is not None:
        values |= {
            "taken_at_ms": taken_at_ms,
            "sort_at_ms": taken_at_ms,
            "pressed_ms": taken_at_ms,
            "captured_ms": _captured(manifest, taken_at_ms, now_ms),
        }
    return values


def taken(manifest: Manifest, now_ms: int) -> int | None:
    """Return when the photo was taken, by the camera's clock or its age; None when nobody can know."""
    if manifest.taken_at_ms is not None:
        return manifest.taken_at_ms if manifest.taken_at_ms <= now_ms + CLOCK_SKEW_MS else None
    return None if manifest.age_ms is None else max(0, now_ms - manifest.age_ms)


def _captured(manifest: Manifest, taken_at_ms: int, now_ms: int) -> int | None:
    spent_ms = (manifest.stage_ms or {}).get("captured")
    if spent_ms is None or taken_at_ms + spent_ms > now_ms + CLOCK_SKEW_MS:
        return None
    return taken_at_ms + spent_ms


def _told(row: Row[Any]) -> Manifest | None:
    """Return the manifest that was kept; None also for one which an older server took and that is refused today."""
    try:
        return None if row.manifest is None else Manifest.decode(row.manifest)
    except ContractError:
        return None


def _same(old: Manifest, new: Manifest) -> bool:
    """Whether a repeated manifest tells nothing new: its age grows, and a clock may be known by now."""
    learned = old.taken_at_ms is None and old.age_ms is None and (new.taken_at_ms or new.age_ms) is not None
    return not learned and (old.sha256, old.bytes, old.seq) == (new.sha256, new.bytes, new.seq)


def _set(connection: Connection, photo: str, values: dict[str, Any]) -> None:
    connection.execute(update(schema.photo).where(schema.photo.c.id == photo).values(values))
