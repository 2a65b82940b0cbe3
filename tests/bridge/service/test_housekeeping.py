"""What is old is dropped, and nothing that somebody still needs."""

from aperture.clock import now_ms
from aperture.contract.messages import Status
from aperture.store import events, telemetry

DAY_MS = 86_400_000


async def test_old_telemetry_and_events_go(home, until) -> None:
    """Raw telemetry past its days and events past theirs are dropped at the start; the hours and the new ones stay."""
    now, archive = now_ms(), home.archive

    def fill(connection):
        for age_days in (40, 1):
            telemetry.add(
                connection, camera="front-door", status=Status(battery_mv=4000), now_ms=now - age_days * DAY_MS
            )
        for age_days in (9, 8, 1):
            events.append(connection, events.Kind.CAMERA_STATUS, at_ms=now - age_days * DAY_MS, camera="front-door")

    archive.database.write(fill)

    def count(table):
        return archive.database.read(lambda c: c.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar())

    async with home.bridge():
        await until(lambda: count("telemetry") == 1)
    assert count("telemetry_hour") == 2
    async with home.bridge():  # the first one has read the events; now they may go
        await until(lambda: min(e.at_ms for e in archive.database.read(lambda c: events.after(c, 0))) >= now - DAY_MS)
