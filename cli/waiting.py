"""What `aperture doctor` has to say of photos that have not come all the way: to the archive, or to Discord."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from aperture.store import schema
from aperture.store.outbox import DeliveryState
from aperture.store.photos import State
from cli import output
from cli.finding import Finding, Verdict

_TO_COME = {
    State.ANNOUNCED: "on the way",
    State.MISSING: "announced long ago and not here",
    State.SUSPECT: "damaged on the way",
}
_REST_WORTH_A_WORD_MS = 10_000


def findings(connection: Connection, now_ms: int) -> Iterator[Finding]:
    """Tell of photos whose bytes are still to come, of those that wait for Discord, and of those that it refused.

    What waits for a webhook that is no more counts: the next one gets it.
    """
    yield _archive(connection)
    yield from _discord(connection, now_ms)


def _archive(connection: Connection) -> Finding:
    table = schema.photo.c
    query = (
        select(table.camera, table.state, func.count())
        .where(table.deleted_at_ms.is_(None))
        .group_by(table.camera, table.state)
        .order_by(table.camera, table.state)
    )
    rows = connection.execute(query).all()
    stored = sum(count for _, state, count in rows if state == State.STORED)
    owed = [f"{camera}: {count} {_TO_COME[State(state)]}" for camera, state, count in rows if state != State.STORED]
    if not owed:
        return Finding("photos", Verdict.OK, f"{stored} in the archive, none owed by a camera")
    return Finding(
        "photos",
        Verdict.HINT,
        f"{stored} in the archive; {', '.join(owed)}",
        "leave the camera on, near its Wi-Fi: it sends what it has not handed over",
    )


def _discord(connection: Connection, now_ms: int) -> Iterator[Finding]:
    table = schema.delivery.c
    query = (
        select(table.state, table.error, func.count(), func.max(table.updated_at_ms))
        .join(schema.photo, schema.photo.c.id == table.photo)
        .where(table.state != DeliveryState.POSTED, schema.photo.c.deleted_at_ms.is_(None))
        .group_by(table.state, table.error)
        .order_by(func.max(table.updated_at_ms).desc())
    )
    rows = connection.execute(query).all()
    waiting = [row for row in rows if row.state != DeliveryState.SET_ASIDE]
    refused = [row for row in rows if row.state == DeliveryState.SET_ASIDE]
    if waiting:
        rest_ms = _rest_ends_ms(connection, now_ms)
        rest = f"; Discord asked for a rest until {output.local_time(rest_ms)}" if rest_ms else ""
        yield Finding(
            "to be posted", Verdict.HINT, _told(waiting) + rest, "nothing is lost: the bridge goes on by itself"
        )
    if refused:
        yield Finding(
            "refused by Discord", Verdict.HINT, _told(refused), "they are in the archive, and are not sent again"
        )


def _told(rows: list[Any]) -> str:
    """Return how many there are, and the reasons, the latest first."""
    reasons = [f"{error}: {count}" for _, error, count, _ in rows if error]
    number = sum(count for _, _, count, _ in rows)
    said = f"{number} photo" if number == 1 else f"{number} photos"
    return said + (f" ({'; '.join(reasons[:3])})" if reasons else "")


def _rest_ends_ms(connection: Connection, now_ms: int) -> int | None:
    """Return until when Discord wants to be left alone, None when it does not, or not for long."""
    table = schema.destination.c
    query = select(table.pauses).where(table.pauses.is_not(None))
    pauses: list[dict[str, Any]] = [one for row in connection.execute(query).scalars() for one in json.loads(row)]
    ends = [pause["until_ms"] for pause in pauses if pause["until_ms"] > now_ms + _REST_WORTH_A_WORD_MS]
    return max(ends, default=None)
