"""Whoever has not logged in gets little: some seconds, a few connections, a few lines in the log."""

import resource

import pytest
import structlog.testing

from broker.ftp import server as module
from broker.ration import Ration


def test_a_login_has_a_deadline(make_house, jpeg, photo_id, monkeypatch, until):
    """NOOP for ever holds no session open; a session that is logged in is not touched."""
    monkeypatch.setattr("broker.ftp.control._LOGIN_S", 0.4)
    house = make_house()
    camera, stranger = house.camera(), house.wire()

    def is_out():
        try:
            return not stranger.ask("NOOP").startswith("200")
        except OSError:  # it was closed while a NOOP was on its way
            return True

    until(is_out)
    until(lambda: len(house.server._shared.sessions) == 1)
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_a_logged_out_session_has_it_again(make_house, monkeypatch):
    """REIN makes a stranger of whoever was logged in."""
    monkeypatch.setattr("broker.ftp.control._LOGIN_S", 0.2)
    camera = make_house().camera()
    camera.ask("REIN")
    assert camera.reply().startswith("421")


def test_strangers_hold_few_sessions(make_house, jpeg, photo_id):
    """Connections that never log in don't keep a camera out: the oldest of them give way."""
    house = make_house(max_connections=40, max_per_address=40)
    strangers = [house.wire() for _ in range(39)]
    cameras = [house.camera() for _ in range(15)]
    assert cameras[0].put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert all(camera.ask("NOOP").startswith("200") for camera in cameras)
    assert strangers[0].reply().startswith("421")
    assert strangers[-1].ask("NOOP").startswith("200")
    assert len(house.server._shared.strangers) <= 10


def test_who_left_is_no_stranger(house, until):
    """Nothing is remembered of a connection that was closed, logged in or not."""
    for _ in range(3):
        wire = house.connect()
        wire.close()
    house.camera()
    until(lambda: len(house.server._shared.sessions) == 1)
    assert not house.server._shared.strangers


def test_refused_logins_fill_no_disk(make_house, monkeypatch):
    """A few lines a second, and how many were left out."""
    monkeypatch.setattr("broker.ftp.control._WRONG_PASSWORD_PAUSE_S", 0.0)
    monkeypatch.setattr("broker.ration.time.monotonic", lambda: 1.0)
    with structlog.testing.capture_logs() as lines:
        wire = make_house(max_logins=100).wire()
        for _ in range(30):
            assert wire.ask("USER front-door", "PASS wrong").startswith("530")
    assert len([line for line in lines if line["event"] == "ftp login refused"]) == 5


def test_what_was_left_out_is_told(monkeypatch):
    monkeypatch.setattr("broker.ration.time.monotonic", lambda: 1.0)
    ration = Ration(per_s=2)
    assert [ration.allows() for _ in range(5)] == [True, True, False, False, False]
    monkeypatch.setattr("broker.ration.time.monotonic", lambda: 2.0)
    assert ration.allows()
    assert [ration.take_unsaid(), ration.take_unsaid()] == [3, 0]


@pytest.fixture
def limits(monkeypatch):
    """The process's limits, make-believe: the real ones belong to the tests' own process."""
    now = {"soft": 1024, "hard": 4096}
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: (now["soft"], now["hard"]))
    monkeypatch.setattr(module.resource, "setrlimit", lambda _, pair: now.update(soft=pair[0], hard=pair[1]))
    return now


@pytest.mark.parametrize(
    ("soft", "hard", "after", "warned"),
    [
        (1024, 4096, 2304, False),
        (1024, 2000, 2000, True),
        (8192, 8192, 8192, False),
        (1024, resource.RLIM_INFINITY, 2304, False),
    ],
)
def test_there_are_descriptors_for_all(make_house, limits, soft, hard, after, warned):
    """Where a shell allows 1024 open files and the system more, the server takes what its sessions need."""
    limits.update(soft=soft, hard=hard)
    with structlog.testing.capture_logs() as lines:
        make_house(max_connections=512)
    assert limits == {"soft": after, "hard": hard}
    assert any("open files" in line["event"] for line in lines) is warned
