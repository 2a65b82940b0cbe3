"""Reading photos: one, or a page of the newest, as the public record that HTTP and MQTT show."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, tuple_

from aperture.contract.links import Links
from aperture.contract.messages import Delivery, PhotoRecord, Stages
from aperture.store import schema
from aperture.store.errors import NotFoundError

_STAGES = tuple(Stages.model_fields)
_ONE = select(schema.photo).where(schema.photo.c.id == bindparam("of_photo"), schema.photo.c.deleted_at_ms.is_(None))
_DELIVERIES = (
    select(schema.delivery)
    .where(schema.delivery.c.photo.in_(bindparam("of_photos", expanding=True)))
    .order_by(schema.delivery.c.id)
)
_KEY = re.compile(r"([0-9]{1,16}):([a-z2-7]{26})")


def record(connection: Connection, photo: str, *, links: Links) -> PhotoRecord:
    """Return one photo.

    Raises:
        NotFoundError: there is none of that id, or it was deleted.
    """
    return _records(connection, [_row(connection, photo)], links)[0]


def record_alone(connection: Connection, photo: str, *, links: Links) -> PhotoRecord:
    """Return one photo without its deliveries: half the work, for who delivers it.

    Raises:
        NotFoundError: there is none of that id, or it was deleted.
    """
    return _record(_row(connection, photo), [], links)


def page(
    connection: Connection, *, links: Links, camera: str | None = None, before: str | None = None, limit: int = 50
) -> tuple[list[PhotoRecord], str | None]:
    """Return a page of photos, newest first, and the key of the next page (None at the end).

    Raises:
        NotFoundError: `before` is no key that a page gave.
    """
    photo = schema.photo.c
    query = select(schema.photo).where(photo.deleted_at_ms.is_(None))
    if camera is not None:
        query = query.where(photo.camera == camera)
    if before is not None:
        query = query.where(tuple_(photo.sort_at_ms, photo.id) < tuple_(*_parse(before)))
    rows = connection.execute(query.order_by(photo.sort_at_ms.desc(), photo.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return _records(connection, rows, links), _key(rows[-1]) if more else None


def newest(connection: Connection, camera: str) -> str | None:
    """Return the photo with bytes that a camera took last, deleted or not."""
    photo = schema.photo.c
    query = select(photo.id).where(photo.camera == camera, photo.stored_ms.is_not(None))
    return connection.execute(query.order_by(photo.sort_at_ms.desc(), photo.id.desc()).limit(1)).scalar()


def _row(connection: Connection, photo: str) -> Row[Any]:
    row = connection.execute(_ONE, {"of_photo": photo}).one_or_none()
    if row is None:
        raise NotFoundError("there is no such photo")
    return row


def _records(connection: Connection, rows: Iterable[Row[Any]], links: Links) -> list[PhotoRecord]:
    rows = list(rows)
    deliveries = _deliveries(connection, [row.id for row in rows])
    return [_record(row, deliveries[row.id], links) for row in rows]


def _deliveries(connection: Connection, photos: list[str]) -> defaultdict[str, list[Delivery]]:
    found: defaultdict[str, list[Delivery]] = defaultdict(list)
    for row in connection.execute(_DELIVERIES, {"of_photos": photos}):
        found[row.photo].append(
            Delivery(
                target=row.target,
                state=row.state,
                attempts=row.attempts,
                message_id=row.message_id,
                error=row.error,
            )
        )
    return found


def _record(row: Row[Any], deliveries: list[Delivery], links: Links) -> PhotoRecord:
    has_bytes = row.stored_ms is not None
    return PhotoRecord(
        id=row.id,
        camera=row.camera,
        seq=row.seq,
        trigger=row.trigger,
        state=row.state,
        origin=row.origin,
        taken_at_ms=row.taken_at_ms,
        bytes=row.bytes,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        url=links.photo(row.id) if has_bytes else None,
        thumbnail_url=links.thumbnail(row.id) if has_bytes else None,
        labels=_labels(row.manifest),
        stages=Stages(**{stage: getattr(row, f"{stage}_ms") for stage in _STAGES}),
        deliveries=deliveries,
    )


def _labels(manifest: str | None) -> list[str]:
    """Return what the camera itself said is wrong with a photo; hardly any has a label, so hardly any is parsed."""
    return json.loads(manifest).get("labels") or [] if manifest and '"labels"' in manifest else []


def _key(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(f"{row.sort_at_ms}:{row.id}".encode()).decode().rstrip("=")


def _parse(key: str) -> tuple[int, str]:
    try:
        found = _KEY.fullmatch(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)).decode())
    except ValueError:  # no base64, or no text in it
        found = None
    if found is None:
        raise NotFoundError("`before` is no key that a page of photos gave as `next`")
    return int(found[1]), found[2]
