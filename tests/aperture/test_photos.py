import itertools
import json

import pytest

from aperture.contract.ids import new_photo_id, recovered_photo_id
from aperture.store import events, photos
from aperture.store.errors import ConflictError
from aperture.store.photos import CLOCK_SKEW_MS, Origin, State


def _announce(database, told, *, camera="cam", now_ms=5000):
    return database.write(lambda one: photos.announce(one, camera=camera, manifest=told, now_ms=now_ms))


def _receive(database, got):
    return database.write(lambda one: photos.receive(one, got))


def _row(database, photo):
    return database.read(lambda one: photos.find(one, photo))


def _kinds(database, photo):
    found = database.read(lambda one: events.after(one, 0))
    return [event.kind for event in found if event.photo == photo]


def test_manifest_then_bytes_is_stored(database, manifest, received):
    told = manifest(taken_at_ms=900, stage_ms={"captured": 50}, width=1, height=1)
    assert _announce(database, told) is State.ANNOUNCED
    assert _receive(database, received(photo=told.photo))
    row = _row(database, told.photo)
    assert (row.state, row.pressed_ms, row.captured_ms, row.announced_ms, row.stored_ms) == (
        "stored", 900, 950, 5000, 1110,
    )  # fmt: skip
    assert (row.width, row.height) == (64, 48)
    assert _kinds(database, told.photo) == ["photo.announced", "photo.stored"]


def test_bytes_then_manifest_is_stored_and_enriched(database, manifest, received):
    """Also the manifest's own width and height don't count: the bytes decide."""
    got = received()
    assert _receive(database, got)
    assert _announce(database, manifest(photo=got.photo, seq=9, age_ms=100, width=1, height=1)) is State.STORED
    row = _row(database, got.photo)
    assert (row.state, row.seq, row.taken_at_ms, row.width, row.height) == ("stored", 9, 4900, 64, 48)
    assert _kinds(database, got.photo) == ["photo.stored", "photo.enriched"]


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(["told", "told", "got", "got"]))))
def test_whatever_order_and_however_often_the_end_is_the_same(database, manifest, received, order):
    """A lost ack or 226 makes the camera say everything again: one photo, one stored event, no doubt."""
    told = manifest(age_ms=10)
    got = received(photo=told.photo)
    for step in order:
        _announce(database, told) if step == "told" else _receive(database, got)
    assert _row(database, told.photo).state == "stored"
    kinds = _kinds(database, told.photo)
    assert kinds.count("photo.stored") == 1
    assert set(kinds) <= {"photo.announced", "photo.stored", "photo.enriched"}
    assert len(kinds) == 2


def test_a_repeated_manifest_is_no_news_though_its_age_has_grown(database, manifest):
    told = manifest(age_ms=100)
    _announce(database, told)
    _announce(database, told.model_copy(update={"age_ms": 9000}), now_ms=99_999)
    assert _kinds(database, told.photo) == ["photo.announced"]
    assert _row(database, told.photo).taken_at_ms == 4900


def test_a_clock_that_is_known_by_now_is_news(database, manifest):
    told = manifest()
    _announce(database, told)
    _announce(database, told.model_copy(update={"taken_at_ms": 4000}))
    row = _row(database, told.photo)
    assert (row.taken_at_ms, row.sort_at_ms, row.announced_ms) == (4000, 4000, 5000)


@pytest.mark.parametrize(
    ("more", "taken"),
    [({}, None), ({"age_ms": 0}, 5000), ({"age_ms": 100}, 4900), ({"age_ms": 10_000}, 0), ({"taken_at_ms": 4000}, 4000),
     ({"taken_at_ms": 5000 + CLOCK_SKEW_MS}, 5000 + CLOCK_SKEW_MS), ({"taken_at_ms": 5001 + CLOCK_SKEW_MS}, None)],
)  # fmt: skip
def test_when_a_photo_was_taken_is_known_or_it_is_not(manifest, more, taken):
    """A clock that runs far ahead is wrong: no guess is made of it."""
    assert photos.taken(manifest(**more), 5000) == taken


def test_a_stage_that_lies_in_the_future_is_not_believed(database, manifest):
    """Nobody has captured a photo tomorrow: the rest of its manifest counts."""
    told = manifest(taken_at_ms=900, stage_ms={"captured": CLOCK_SKEW_MS + 5000})
    _announce(database, told)
    row = _row(database, told.photo)
    assert (row.pressed_ms, row.captured_ms) == (900, None)


def test_a_manifest_that_an_older_server_took_and_that_is_refused_today_stops_nothing(database, manifest, received):
    """It counts as not told: the bytes are taken, and the camera's next manifest replaces it."""
    told = manifest(taken_at_ms=900)
    _announce(database, told)
    old = {**json.loads(told.encode()), "stage_ms": {"captured": 2**53}}
    database.write(lambda one: one.exec_driver_sql("UPDATE photo SET manifest = ?", (json.dumps(old),)))
    assert database.read(lambda one: photos.expected(one, told.photo)).sha256 is None
    assert _receive(database, received(photo=told.photo))
    assert _announce(database, told) is State.STORED
    assert json.loads(_row(database, told.photo).manifest) == json.loads(told.encode())


def test_a_manifest_that_doesn_t_match_the_bytes_makes_them_suspect_until_the_right_ones_come(
    database, manifest, received
):
    got = received(sha256="b" * 64)
    _receive(database, got)
    told = manifest(photo=got.photo)
    assert _announce(database, told) is State.SUSPECT
    known = database.read(lambda one: photos.expected(one, got.photo))
    assert (known.sha256, known.stored_sha256, known.stored_bytes) == (told.sha256, None, None)
    assert not _receive(database, got)
    assert _row(database, got.photo).state == "suspect"
    assert _receive(database, received(photo=got.photo))
    assert _row(database, got.photo).state == "stored"
    assert _kinds(database, got.photo) == ["photo.stored", "photo.suspect", "photo.mended"]


def test_bytes_that_are_not_the_manifest_s_are_refused(database, manifest, received):
    told = manifest()
    _announce(database, told)
    with pytest.raises(ConflictError, match="not those of its manifest"):
        _receive(database, received(photo=told.photo, sha256="b" * 64))
    assert _row(database, told.photo).state == "announced"


def test_stored_bytes_are_never_replaced(database, received):
    got = received()
    _receive(database, got)
    with pytest.raises(ConflictError, match="other bytes"):
        _receive(database, received(photo=got.photo, sha256="b" * 64))
    assert _row(database, got.photo).sha256 == got.sha256


def test_a_photo_belongs_to_its_camera(database, manifest, received):
    """Another camera that names its id gets nowhere, neither with a manifest nor with bytes."""
    told = manifest()
    _announce(database, told)
    with pytest.raises(ConflictError, match="another camera"):
        _announce(database, told, camera="thief")
    with pytest.raises(ConflictError, match="another camera"):
        _receive(database, received(photo=told.photo, camera="thief"))


def test_a_manifest_without_bytes_past_its_deadline_is_missing_and_asked_for_again(database, manifest, received):
    """Once told, asked for a limited number of times, and stored all the same when the bytes come."""
    told = manifest()
    _announce(database, told, now_ms=1000)

    def mark():
        return database.write(lambda one: photos.mark_missing(one, announced_before_ms=2000, now_ms=3000))

    assert (mark(), mark()) == ([("cam", told.photo)], [])
    asked = 0
    while database.read(lambda one: photos.wanting(one, camera="cam", asked_before_ms=10_000)):
        database.write(lambda one: photos.resend_asked(one, photo=told.photo, now_ms=3000))
        asked += 1
        assert asked < 50
    assert asked == 5
    assert _receive(database, received(photo=told.photo))
    assert _kinds(database, told.photo) == ["photo.announced", "photo.missing", "photo.stored"]


def test_a_resend_is_not_asked_for_again_at_once(database, manifest):
    told = manifest()
    _announce(database, told, now_ms=1000)
    database.write(lambda one: photos.mark_missing(one, announced_before_ms=2000, now_ms=3000))
    database.write(lambda one: photos.resend_asked(one, photo=told.photo, now_ms=3000))
    assert database.read(lambda one: photos.wanting(one, camera="cam", asked_before_ms=3000)) == []
    assert database.read(lambda one: photos.wanting(one, camera="cam", asked_before_ms=3001)) == [told.photo]
    assert database.read(lambda one: photos.wanting(one, camera="other", asked_before_ms=9999)) == []


def test_a_deleted_photo_stays_deleted_whatever_the_camera_says(database, manifest, received):
    """Its id stays taken, a late resend revives nothing, tells nobody, and it is never asked for."""
    told = manifest()
    _announce(database, told, now_ms=1000)
    assert database.write(lambda one: photos.delete(one, photo=told.photo, now_ms=2000))
    assert not database.write(lambda one: photos.delete(one, photo=told.photo, now_ms=2000))
    assert not _receive(database, received(photo=told.photo))
    assert _announce(database, told.model_copy(update={"seq": 2, "sha256": "c" * 64})) is State.STORED
    database.write(lambda one: photos.mark_missing(one, announced_before_ms=9999, now_ms=9999))
    assert _row(database, told.photo).deleted_at_ms == 2000
    assert _kinds(database, told.photo) == ["photo.announced", "photo.deleted"]
    assert database.read(lambda one: photos.wanting(one, camera="cam", asked_before_ms=99_999)) == []
    assert database.read(photos.deleted) == [("cam", told.photo)]


def test_what_is_expected_of_an_unknown_photo_is_nothing(database):
    assert database.read(lambda one: photos.expected(one, new_photo_id())) is None


def test_a_foreign_camera_s_file_is_the_same_by_name_and_bytes_for_a_while(database, received):
    got = received(origin=Origin.FTP, name="IMG_1.JPG")
    _receive(database, got)

    def same(**more):
        facts = {"camera": "cam", "name": "IMG_1.JPG", "sha256": got.sha256, "since_ms": 0} | more
        return database.read(lambda one: photos.same_foreign(one, **facts))

    assert same() == got.photo
    for other in ({"camera": "dslr"}, {"name": "IMG_2.JPG"}, {"sha256": "b" * 64}, {"since_ms": got.stored_ms + 1}):
        assert same(**other) is None


def test_a_photo_whose_id_its_camera_lost_is_known_again(database, manifest, received):
    """By its number and its bytes, once they are stored: no second photo, no second post; another number is another."""
    told = manifest(seq=7)
    again = manifest(photo=recovered_photo_id(7, told.sha256), seq=7, trigger="unknown")
    _announce(database, told)
    assert database.read(lambda one: photos.recovered(one, camera="cam", photo=again.photo, sha256="a" * 64)) is None
    _receive(database, received(photo=told.photo))
    assert _announce(database, again) is State.STORED
    assert _row(database, again.photo) is None
    other = manifest(photo=recovered_photo_id(8, told.sha256), seq=8, trigger="unknown")
    assert _announce(database, other) is State.ANNOUNCED


def test_a_photo_whose_id_was_lost_before_it_was_handed_over_is_a_photo(database, manifest, received):
    """Announced again and again it stays the same one."""
    told = manifest(photo=recovered_photo_id(7, "a" * 64), seq=7, trigger="unknown")
    assert _announce(database, told) is State.ANNOUNCED
    assert _receive(database, received(photo=told.photo))
    assert _announce(database, told) is State.STORED
    assert _kinds(database, told.photo) == ["photo.announced", "photo.stored"]
