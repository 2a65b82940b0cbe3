"""What is known of each camera: presence, the last status, when it wakes. Cameras are added in `accounts`."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from aperture.contract.messages import Presence, Status
from aperture.store import events, schema, telemetry
from aperture.store.events import Kind


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera. `status` is its last telemetry as it came, `photos` how many are kept."""

    name: str
    presence: Presence
    presence_at_ms: int | None
    seen_at_ms: int | None
    next_wake_at_ms: int | None
    status: dict[str, Any] | None
    status_at_ms: int | None
    config: dict[str, Any] | None
    created_at_ms: int
    ftp_only: bool
    revoked: bool

    @property
    def photos_left(self) -> int | None:
        """How many photos its battery still has, by its own estimate of what one takes; None where nobody can know."""
        percent, capacity_mah, shot_uah = (
            (self.status or {}).get(field) for field in ("battery_pct", "battery_mah", "shot_uah")
        )
        if percent is None or not capacity_mah or not shot_uah:
            return None
        return percent * capacity_mah * 1000 // 100 // shot_uah


def get(connection: Connection, name: str) -> Camera | None:
    """Return one camera, None when there is none of that name."""
    row = connection.execute(_cameras().where(schema.camera.c.name == name)).one_or_none()
    return None if row is None else _camera(row)


def every(connection: Connection) -> list[Camera]:
    """Return all cameras that are not revoked, by name."""
    query = _cameras().where(schema.account.c.revoked_at_ms.is_(None)).order_by(schema.camera.c.name)
    return [_camera(row) for row in connection.execute(query)]


def revoked(connection: Connection) -> list[str]:
    """Return the names of all cameras that are revoked."""
    query = _cameras().where(schema.account.c.revoked_at_ms.is_not(None)).order_by(schema.camera.c.name)
    return [row.name for row in connection.execute(query)]


def photo_counts(connection: Connection, *, camera: str | None = None) -> dict[str, int]:
    """Return how many photos are kept of each camera that has any, or of this one."""
    query = (
        select(schema.photo.c.camera, func.count())
        .where(schema.photo.c.deleted_at_ms.is_(None))
        .group_by(schema.photo.c.camera)
    )
    if camera is not None:
        query = query.where(schema.photo.c.camera == camera)
    return {row[0]: row[1] for row in connection.execute(query)}


def set_presence(
    connection: Connection, *, camera: str, presence: Presence, now_ms: int, next_wake_at_ms: int | None = None
) -> bool:
    """Take a camera's presence; return whether it is another than before.

    A last will (`offline`) that arrives after an announced sleep still means asleep: the camera's socket outlived it.
    """
    known = get(connection, camera)
    if known is None:
        return False
    if presence is Presence.OFFLINE and known.presence is Presence.ASLEEP:
        return False
    values: dict[str, Any] = {"presence": presence, "next_wake_at_ms": next_wake_at_ms}
    if presence is not Presence.OFFLINE:
        values["seen_at_ms"] = now_ms
    if presence is Presence.ASLEEP and next_wake_at_ms is None:
        del values["next_wake_at_ms"]  # told by the `going` before it
    changed = presence is not known.presence
    if changed:
        values["presence_at_ms"] = now_ms
        body = {"presence": presence, "next_wake_at_ms": values.get("next_wake_at_ms", known.next_wake_at_ms)}
        events.append(connection, Kind.CAMERA_PRESENCE, at_ms=now_ms, camera=camera, body=body)
    _set(connection, camera, values)
    return changed


def set_next_wake(connection: Connection, *, camera: str, at_ms: int | None) -> None:
    """Note when a camera that goes to sleep will wake by itself."""
    _set(connection, camera, {"next_wake_at_ms": at_ms})


def set_status(connection: Connection, *, camera: str, status: Status, now_ms: int) -> bool:
    """Take a camera's telemetry; return False when there is no such camera.

    A status that equals the last one (a retained message, read again) adds no row.
    """
    known = get(connection, camera)
    if known is None:
        return False
    body = status.model_dump(mode="json")
    if body == known.status:
        return True
    values = {"status": json.dumps(body), "status_at_ms": now_ms, "seen_at_ms": now_ms}
    _set(connection, camera, values)
    telemetry.add(connection, camera=camera, status=status, now_ms=now_ms)
    events.append(connection, Kind.CAMERA_STATUS, at_ms=now_ms, camera=camera, body=body)
    return True


def set_config(connection: Connection, *, camera: str, config: dict[str, Any]) -> None:
    """Keep what a camera was last asked to be set to."""
    _set(connection, camera, {"config": json.dumps(config)})


def _cameras() -> Any:
    return select(schema.camera, schema.account.c.ftp_only, schema.account.c.revoked_at_ms).join(
        schema.account, schema.account.c.name == schema.camera.c.name
    )


def _camera(row: Row[Any]) -> Camera:
    return Camera(
        name=row.name,
        presence=Presence(row.presence),
        presence_at_ms=row.presence_at_ms,
        seen_at_ms=row.seen_at_ms,
        next_wake_at_ms=row.next_wake_at_ms,
        status=json.loads(row.status) if row.status else None,
        status_at_ms=row.status_at_ms,
        config=json.loads(row.config) if row.config else None,
        created_at_ms=row.created_at_ms,
        ftp_only=bool(row.ftp_only),
        revoked=row.revoked_at_ms is not None,
    )


def _set(connection: Connection, camera: str, values: dict[str, Any]) -> None:
    connection.execute(update(schema.camera).where(schema.camera.c.name == camera).values(values))
