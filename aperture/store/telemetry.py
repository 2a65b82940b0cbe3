"""Numbers over time: raw rows for a while, hourly minimum, maximum, mean for ever."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from aperture.contract.messages import Status
from aperture.store import schema

FIELDS = (
    "battery_mv",
    "battery_pct",
    "rssi_dbm",
    "heap_free",
    "queue",
    "sd_free_kb",
    "temperature_c",
    "uptime_ms",
)
"""What is kept over time, of all that `Status` has."""

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Point:
    """One field over one stretch of time that begins at `at_ms`."""

    at_ms: int
    field: str
    count: int
    minimum: int
    maximum: int
    mean: float


def add(connection: Connection, *, camera: str, status: Status, now_ms: int) -> None:
    """Keep one status; it counts in its hour at once."""
    values = {field: getattr(status, field) for field in FIELDS}
    connection.execute(insert(schema.telemetry).values(camera=camera, at_ms=now_ms, **values))
    for field, value in values.items():
        if value is not None:
            _count(connection, camera, now_ms - now_ms % HOUR_MS, field, value)


def points(connection: Connection, *, camera: str, from_ms: int, to_ms: int, most: int) -> list[Point]:
    """Return each field's course from `from_ms` up to `to_ms` in at most `most` steps, oldest first.

    Raw rows serve while they reach back far enough and steps are shorter than an hour; else the hours do.
    """
    step_ms = max(1, -(-(to_ms - from_ms) // most))
    if step_ms < HOUR_MS and _raw_reaches(connection, camera, from_ms):
        return _raw(connection, camera, from_ms, to_ms, step_ms)
    from_ms -= from_ms % HOUR_MS  # the hour that it lies in counts
    return _hours(connection, camera, from_ms, to_ms, max(step_ms, -(-(to_ms - from_ms) // most)))


def forget(connection: Connection, *, before_ms: int) -> int:
    """Drop raw rows older than this; the hours stay. Return how many went."""
    return connection.execute(delete(schema.telemetry).where(schema.telemetry.c.at_ms < before_ms)).rowcount


def _raw_reaches(connection: Connection, camera: str, from_ms: int) -> bool:
    """Whether raw rows are still there from `from_ms` on, or were never dropped at all."""
    raw, hour = schema.telemetry.c, schema.telemetry_hour.c
    oldest = connection.execute(select(func.min(raw.at_ms)).where(raw.camera == camera)).scalar()
    if oldest is None or oldest <= from_ms:
        return oldest is not None
    first_hour = connection.execute(select(func.min(hour.hour_ms)).where(hour.camera == camera)).scalar()
    return first_hour is None or first_hour >= oldest - oldest % HOUR_MS


def _count(connection: Connection, camera: str, hour_ms: int, field: str, value: int) -> None:
    hour = schema.telemetry_hour.c
    row = upsert(schema.telemetry_hour).values(
        camera=camera, hour_ms=hour_ms, field=field, count=1, minimum=value, maximum=value, total=value
    )
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["camera", "hour_ms", "field"],
            set_={
                "count": hour.count + 1,
                "minimum": func.min(hour.minimum, value),
                "maximum": func.max(hour.maximum, value),
                "total": hour.total + value,
            },
        )
    )


def _raw(connection: Connection, camera: str, from_ms: int, to_ms: int, step_ms: int) -> list[Point]:
    table = schema.telemetry.c
    found: list[Point] = []
    for field in FIELDS:
        column = table[field]
        step = (table.at_ms - from_ms) // step_ms
        query = (
            select(step, func.count(column), func.min(column), func.max(column), func.avg(column))
            .where(table.camera == camera, table.at_ms >= from_ms, table.at_ms < to_ms, column.is_not(None))
            .group_by(step)
        )
        found += [
            Point(from_ms + int(row[0]) * step_ms, field, row[1], row[2], row[3], float(row[4]))
            for row in connection.execute(query)
        ]
    return sorted(found, key=lambda point: (point.at_ms, point.field))


def _hours(connection: Connection, camera: str, from_ms: int, to_ms: int, step_ms: int) -> list[Point]:
    table = schema.telemetry_hour.c
    step = (table.hour_ms - from_ms) // step_ms
    query = (
        select(
            step,
            table.field,
            func.sum(table.count),
            func.min(table.minimum),
            func.max(table.maximum),
            func.sum(table.total),
        )
        .where(table.camera == camera, table.hour_ms >= from_ms, table.hour_ms < to_ms)
        .group_by(step, table.field)
        .order_by(step, table.field)
    )
    return [
        Point(from_ms + int(row[0]) * step_ms, row[1], row[2], row[3], row[4], row[5] / row[2])
        for row in connection.execute(query)
    ]
