"""ABOR stops an upload, and nothing that merely looks like it does."""

from pathlib import Path

import pytest

from aperture.contract.ids import new_photo_id


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


@pytest.fixture
def camera(house):
    return house.camera()


@pytest.fixture
def busy(camera, photo_id):
    """An upload whose bytes are coming."""
    connection = camera.data()
    camera.settle()
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("125")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "line",
    [b"ABOR", b"abor", b"ABOR ", b"\xff\xf4\xf2ABOR", b"\xff\xf4\xff\xf2ABOR", b"\xf2ABOR"],
    ids=["plain", "lower case", "with a blank", "IP and mark", "IP and Synch", "mark"],
)
def test_abor_is_heard(camera, busy, jpeg, photo_id, line):
    """With Telnet's signals before it or without: the transfer is stopped, and the next one works."""
    camera.socket.sendall(line + b"\r\n")
    assert [camera.reply()[:3] for _ in range(2)] == ["426", "225"]
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


@pytest.mark.parametrize("line", ["STOR ABOR", "STOR x0ABOR", "SIZE xABOR", "NOOP ABOR", "XABOR"])
def test_what_ends_like_it_waits_its_turn(house, camera, busy, jpeg, photo_id, line):
    """A file's name may end so: the upload goes on to its 226, then the line is answered, and the session works."""
    camera.send(line)
    busy.sendall(jpeg)
    busy.close()
    assert camera.reply().startswith("226")
    assert camera.reply()[0] in "45"
    assert camera.ask("NOOP").startswith("200")
    assert house.stored("front-door", photo_id) == jpeg


@pytest.mark.usefixtures("busy")
def test_no_descriptor_is_left_open(house, camera):
    """However many such lines come: nothing is opened for them, and nothing is left when the session ends."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    camera.send(*[f"STOR {new_photo_id()}.jpgABOR" for _ in range(20)], "ABOR")
    assert [camera.reply()[:3] for _ in range(2)] == ["426", "225"]
    assert {camera.reply()[0] for _ in range(20)} <= {"4", "5"}
    assert camera.ask("NOOP").startswith("200")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert not house.server._shared.active


@pytest.mark.parametrize("line", ["XABOR", "FOOQUIT", "FOOSTAT"])
def test_no_such_command(camera, line):
    """A made-up command is none, whatever it ends in."""
    assert camera.ask(line).startswith("500")
    assert camera.ask("NOOP").startswith("200")
