import pytest

from aperture.contract.links import Links
from aperture.contract.messages import PhotoRecord
from aperture.store import gallery, photos
from aperture.store.errors import NotFoundError


def _page(database, **more):
    return database.read(lambda one: gallery.page(one, links=Links(), **more))


def test_pages_go_on_where_the_last_ended(database, received):
    """By key: photos of the same millisecond are neither shown twice nor left out, and new ones don't shift a page."""
    for _ in range(7):
        database.write(lambda one: photos.receive(one, received()))
    seen: list[str] = []
    before = None
    while True:
        page, before = _page(database, limit=2, before=before)
        seen += [record.id for record in page]
        database.write(lambda one: photos.receive(one, received(received_ms=99_999)))
        if before is None:
            break
    old = database.read(
        lambda one: one.exec_driver_sql("SELECT id FROM photo WHERE sort_at_ms < 99999").scalars().all()
    )
    assert sorted(seen) == sorted(old)


def test_a_photo_is_placed_by_when_it_was_taken(database, manifest, received):
    """Not by when it arrived: a backlog goes where it belongs."""
    late = manifest(taken_at_ms=500)
    database.write(lambda one: photos.receive(one, received(received_ms=1000)))
    database.write(lambda one: photos.announce(one, camera="cam", manifest=late, now_ms=2000))
    page, _ = _page(database)
    assert page[-1].id == late.photo


def test_links_are_there_once_the_bytes_are(database, manifest, received):
    told = manifest()
    database.write(lambda one: photos.announce(one, camera="cam", manifest=told, now_ms=1000))
    links = Links("https://photos.example")
    assert database.read(lambda one: gallery.record(one, told.photo, links=links)).url is None
    database.write(lambda one: photos.receive(one, received(photo=told.photo)))
    record = database.read(lambda one: gallery.record(one, told.photo, links=links))
    assert record.url == f"https://photos.example/p/{told.photo}.jpg"
    assert record.thumbnail_url == f"https://photos.example/api/v1/photos/{told.photo}/thumbnail"
    assert PhotoRecord.decode(record.encode()) == record


def test_what_the_camera_says_is_wrong_with_a_photo_is_in_its_record(database, manifest, received):
    """Whether the manifest came before the bytes or after them; a photo that nobody found fault with has no label."""
    for told, order in ((manifest(labels=["black"]), 1), (manifest(labels=["black", "same"]), -1), (manifest(), 1)):
        steps = [
            lambda one, told=told: photos.announce(one, camera="cam", manifest=told, now_ms=1000),
            lambda one, told=told: photos.receive(
                one, received(photo=told.photo, bytes=told.bytes, sha256=told.sha256)
            ),
        ][::order]
        for step in steps:
            database.write(step)
        record = database.read(lambda one, told=told: gallery.record(one, told.photo, links=Links()))
        assert (record.state, record.labels) == ("stored", told.labels or [])


def test_a_deleted_photo_is_nowhere(database, received):
    got = received()
    database.write(lambda one: photos.receive(one, got))
    database.write(lambda one: photos.delete(one, photo=got.photo, now_ms=1))
    assert _page(database) == ([], None)
    with pytest.raises(NotFoundError):
        database.read(lambda one: gallery.record(one, got.photo, links=Links()))


@pytest.mark.parametrize(
    "key",
    ["", "x", "====", "MTox", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTphYQ", "ä", "////", "MTo\x00", "LTE6YWFh"],
)
def test_a_made_up_key_is_refused(database, key):
    """Also one with a number that no database takes."""
    with pytest.raises(NotFoundError, match="before"):
        _page(database, before=key)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT * FROM photo WHERE deleted_at_ms IS NULL ORDER BY sort_at_ms DESC, id DESC LIMIT 9",
            "ix_photo_newest",
        ),
        (
            "SELECT * FROM photo WHERE deleted_at_ms IS NULL AND camera = 'cam' ORDER BY sort_at_ms DESC, id DESC LIMIT 9",
            "ix_photo_camera_newest",
        ),
        (
            "SELECT camera, count(*) FROM photo WHERE deleted_at_ms IS NULL GROUP BY camera",
            "COVERING INDEX ix_photo_count",
        ),
        (
            "SELECT camera, state, count(*) FROM photo WHERE deleted_at_ms IS NULL GROUP BY camera, state",
            "COVERING INDEX ix_photo_count",
        ),
    ],
)
def test_large_archives_are_read_through_an_index(database, query, index):
    """SQLite's own plan: a page sorts nothing, and a count reads no rows."""
    plan = database.read(lambda one: [row[-1] for row in one.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")])
    assert index in plan[0]
    assert not any("ORDER BY" in step for step in plan)
