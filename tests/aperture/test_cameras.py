from aperture.contract.messages import Presence, Status
from aperture.store import accounts, cameras, events, photos
from aperture.store.accounts import Role


def _camera(database, name="cam"):
    return database.read(lambda one: cameras.get(one, name))


def _presence(database, presence, **more):
    facts = {"camera": "cam", "presence": presence, "now_ms": 1000} | more
    return database.write(lambda one: cameras.set_presence(one, **facts))


def _status(database, now_ms=1000, **fields):
    return database.write(lambda one: cameras.set_status(one, camera="cam", status=Status(**fields), now_ms=now_ms))


def _kinds(database):
    return [event.kind for event in database.read(lambda one: events.after(one, 0))]


def test_presence_is_news_once(database):
    """Retained messages are read again at each start of a bridge: only a change is told."""
    assert _presence(database, Presence.ONLINE)
    assert not _presence(database, Presence.ONLINE, now_ms=2000)
    camera = _camera(database)
    assert (camera.presence, camera.presence_at_ms, camera.seen_at_ms) == ("online", 1000, 2000)
    assert _kinds(database).count("camera.presence") == 1


def test_a_last_will_after_an_announced_sleep_still_means_asleep(database):
    """And the time of the next wake stays known."""
    _presence(database, Presence.ONLINE)
    database.write(lambda one: cameras.set_next_wake(one, camera="cam", at_ms=9000))
    assert _presence(database, Presence.ASLEEP)
    assert not _presence(database, Presence.OFFLINE)
    camera = _camera(database)
    assert (camera.presence, camera.next_wake_at_ms) == ("asleep", 9000)


def test_a_camera_that_is_back_has_no_wake_to_wait_for(database):
    _presence(database, Presence.ASLEEP, next_wake_at_ms=9000)
    assert _presence(database, Presence.ONLINE)
    assert _camera(database).next_wake_at_ms is None
    assert _presence(database, Presence.OFFLINE)
    assert _camera(database).presence == "offline"


def test_being_offline_is_not_being_seen(database):
    _presence(database, Presence.ONLINE, now_ms=1000)
    _presence(database, Presence.OFFLINE, now_ms=2000)
    assert (_camera(database).seen_at_ms, _camera(database).presence_at_ms) == (1000, 2000)


def test_the_same_status_again_adds_nothing(database):
    """A retained status, read again, is no second measurement."""
    assert _status(database, queue=1, rssi_dbm=-60)
    assert _status(database, now_ms=2000, queue=1, rssi_dbm=-60)
    assert _camera(database).status_at_ms == 1000
    assert _kinds(database).count("camera.status") == 1
    assert database.read(lambda one: one.exec_driver_sql("SELECT count(*) FROM telemetry").scalar()) == 1
    assert _status(database, now_ms=3000, queue=0, rssi_dbm=-60)
    assert _camera(database).status["queue"] == 0


def test_an_unknown_camera_is_taken_no_notice_of(database):
    before = _kinds(database)
    assert not database.write(lambda one: cameras.set_status(one, camera="who", status=Status(), now_ms=1))
    assert not _presence(database, Presence.ONLINE, camera="who")
    assert _kinds(database) == before
    assert _camera(database, "who") is None


def test_revoked_cameras_are_not_listed(database):
    database.write(lambda one: accounts.add(one, name="old", role=Role.CAMERA, now_ms=1))
    database.write(lambda one: accounts.revoke(one, name="old", now_ms=2))
    assert [camera.name for camera in database.read(cameras.every)] == ["cam"]
    assert _camera(database, "old").revoked


def test_photos_are_counted_without_the_deleted(database, received):
    kept, gone = received(), received()
    for got in (kept, gone):
        database.write(lambda one, got=got: photos.receive(one, got))
    database.write(lambda one: photos.delete(one, photo=gone.photo, now_ms=1))
    assert database.read(cameras.photo_counts) == {"cam": 1}
    assert database.read(lambda one: cameras.photo_counts(one, camera="cam")) == {"cam": 1}
    assert database.read(lambda one: cameras.photo_counts(one, camera="other")) == {}
