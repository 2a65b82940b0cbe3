"""Who does what only one may do at a time: a row with a name, a holder and an end, renewed while the holder lives."""

from sqlalchemy import Connection, delete, or_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from aperture.store import schema


def take(connection: Connection, *, name: str, holder: str, now_ms: int, ttl_ms: int) -> bool:
    """Take or renew a lease for `ttl_ms`; return whether `holder` has it now.

    It is free when it has run out, and when its end lies further ahead than any holder could have set it: then the
    clock was put back, and waiting for that end could take years.
    """
    fresh = upsert(schema.lease).values(name=name, holder=holder, until_ms=now_ms + ttl_ms)
    connection.execute(fresh.on_conflict_do_nothing())
    taken = connection.execute(
        update(schema.lease)
        .where(
            schema.lease.c.name == name,
            or_(
                schema.lease.c.holder == holder,
                schema.lease.c.until_ms <= now_ms,
                schema.lease.c.until_ms > now_ms + 2 * ttl_ms,
            ),
        )
        .values(holder=holder, until_ms=now_ms + ttl_ms)
    )
    return taken.rowcount == 1


def release(connection: Connection, *, name: str, holder: str) -> None:
    """Give a lease back, if `holder` has it."""
    connection.execute(delete(schema.lease).where(schema.lease.c.name == name, schema.lease.c.holder == holder))
