from aperture.contract.messages import Status
from aperture.store import telemetry
from aperture.store.telemetry import HOUR_MS, Point

AT = 1_795_000_000_000 // HOUR_MS * HOUR_MS


def _add(database, *pairs) -> None:
    def work(connection):
        for at_ms, battery_mv in pairs:
            telemetry.add(connection, camera="cam", status=Status(battery_mv=battery_mv), now_ms=at_ms)

    database.write(work)


def _points(database, from_ms, to_ms, most) -> list[Point]:
    return database.read(lambda one: telemetry.points(one, camera="cam", from_ms=from_ms, to_ms=to_ms, most=most))


def test_raw_rows_fall_into_steps_of_equal_length(database):
    """Each step begins at `from_ms` plus a whole number of steps; what lies before and at the end is left out."""
    _add(database, (AT - 1, 1), (AT, 10), (AT + 9, 20), (AT + 10, 30), (AT + 19, 40), (AT + 20, 99))
    assert _points(database, AT, AT + 20, 2) == [
        Point(AT, "battery_mv", 2, 10, 20, 15.0),
        Point(AT + 10, "battery_mv", 2, 30, 40, 35.0),
    ]


def test_there_are_never_more_steps_than_asked_for(database):
    _add(database, *((AT + index * 60_000, 3000 + index) for index in range(50)))
    for most in (1, 2, 7, 49, 50, 1000):
        for length in (1, 999_983, 50 * 60_000, 3 * HOUR_MS):
            assert len({point.at_ms for point in _points(database, AT + 17, AT + 17 + length, most)}) <= most


def test_a_new_camera_s_last_day_is_shown_in_detail(database):
    """Raw rows that were never dropped serve, though they begin after the stretch does."""
    _add(database, *((AT + index * 60_000, 3000 + index) for index in range(30)))
    assert len(_points(database, AT - 23 * HOUR_MS, AT + HOUR_MS, 1440)) == 30


def test_hours_serve_where_raw_rows_were_dropped(database):
    """Nothing of a long stretch is missing, though its older half has only hours left."""
    _add(database, *((AT + hour * HOUR_MS + 5, hour) for hour in range(48)))
    database.write(lambda one: telemetry.forget(one, before_ms=AT + 24 * HOUR_MS))
    shown = _points(database, AT, AT + 48 * HOUR_MS, 2000)
    assert [point.minimum for point in shown] == list(range(48))
    assert _points(database, AT + 30 * HOUR_MS, AT + 31 * HOUR_MS, 60)[0].at_ms == AT + 30 * HOUR_MS


def test_the_hour_that_a_stretch_begins_in_counts(database):
    _add(database, (AT + 5, 7))
    database.write(lambda one: telemetry.forget(one, before_ms=AT + HOUR_MS))
    assert _points(database, AT + 1800_000, AT + HOUR_MS, 10) == [Point(AT, "battery_mv", 1, 7, 7, 7.0)]


def test_hours_are_weighted_by_their_rows(database):
    """A mean over two hours is the mean of the rows, not of the hours."""
    _add(database, (AT, 10), (AT + 1, 10), (AT + 2, 10), (AT + HOUR_MS, 50))
    assert _points(database, AT, AT + 2 * HOUR_MS, 1) == [Point(AT, "battery_mv", 4, 10, 50, 20.0)]


def test_forgetting_leaves_the_hours(database):
    _add(database, (AT, 10), (AT + HOUR_MS, 20))
    assert database.write(lambda one: telemetry.forget(one, before_ms=AT + 1)) == 1
    assert len(_points(database, AT, AT + 2 * HOUR_MS, 2)) == 2


def test_null_is_no_value(database):
    database.write(lambda one: telemetry.add(one, camera="cam", status=Status(), now_ms=AT))
    assert _points(database, AT, AT + HOUR_MS, 1) == []
