import contextlib
import sqlite3
import threading
from functools import partial

from aperture.store import events
from aperture.store.events import Event, Kind


def _append(database, count=1, **more):
    def work(connection):
        for _ in range(count):
            events.append(connection, Kind.CAMERA_STATUS, at_ms=5, camera="cam", **more)
        return events.last_id(connection)

    return database.write(work)


def test_an_event_comes_back_as_it_was_written(database):
    last = _append(database, body={"a": [1, None, "ä"]}, photo="p")
    assert database.read(lambda one: events.after(one, last - 1)) == [
        Event(id=last, kind="camera.status", camera="cam", photo="p", at_ms=5, body={"a": [1, None, "ä"]})
    ]


def test_pages_of_events_meet(database):
    first = database.read(events.last_id)
    last = _append(database, 25)
    seen = []
    while page := database.read(partial(events.after, event_id=seen[-1] if seen else first, limit=4)):
        seen += [event.id for event in page]
    assert seen == list(range(first + 1, last + 1))


def test_ids_are_never_used_again(database, tmp_path):
    """Not even when the newest rows are dropped: who has read up to an id would miss the next ones."""
    last = _append(database, 3)
    with sqlite3.connect(tmp_path / "aperture.db") as connection:
        connection.execute("DELETE FROM event")
    connection.close()
    assert _append(database) == last + 1


def test_a_change_that_is_rolled_back_tells_nothing(database):
    """The event is of the change's own transaction."""
    before = database.read(events.last_id)
    with contextlib.suppress(ZeroDivisionError):
        database.write(lambda one: (events.append(one, Kind.CAMERA_ADDED, at_ms=1), 1 / 0))
    assert database.read(events.last_id) == before


def test_a_reader_never_skips_while_threads_write(database):
    """Ids become visible in their own order, however the writers overlap."""
    first, total = database.read(events.last_id), 200
    threads = [threading.Thread(target=lambda: [_append(database) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while len(seen) < total:
        page = database.read(partial(events.after, event_id=seen[-1] if seen else first, limit=3))
        seen += [event.id for event in page]
    for thread in threads:
        thread.join()
    assert seen == list(range(first + 1, first + total + 1))


def test_a_cursor_is_kept_by_name(database):
    assert database.read(lambda one: events.cursor(one, "outbox")) == 0
    for place in (7, 9):
        database.write(lambda one, place=place: events.advance(one, "outbox", place))
        assert database.read(lambda one: events.cursor(one, "outbox")) == place
    assert database.read(lambda one: events.cursor(one, "other")) == 0
