"""Cut uploads: a closed connection never makes a photo, and what came is where the next session goes on."""

import hashlib

import pytest

from aperture.contract.ids import new_photo_id

CUTS = [0, 1, 100, 0.3, 0.9, -2, -1]


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


def offset(cut, data):
    return int(cut * len(data)) if isinstance(cut, float) else cut % len(data)


def said(camera, data):
    camera.ask(f"SITE SHA256 {hashlib.sha256(data).hexdigest()}", f"ALLO {len(data)}")


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("announced", [False, True], ids=["nothing said", "ALLO and SITE"])
def test_a_cut_upload_is_no_photo_and_resumes(house, jpeg, reset, announced):
    """FIN or RST at any offset: no 226, no photo; SIZE tells how much is here, and REST + STOR completes it."""
    camera = house.camera()
    for cut in CUTS:
        photo, at = new_photo_id(), offset(cut, jpeg)
        if announced:
            said(camera, jpeg)
        assert camera.put_part(f"STOR {photo}.jpg", jpeg[:at], reset=reset)[0] == "4"
        assert house.stored("front-door", photo) is None
        assert camera.ask(f"SIZE {photo}.jpg") == f"213 {at}"
        if announced:
            said(camera, jpeg)
        camera.ask(f"REST {at}")
        assert camera.put_part(f"STOR {photo}.jpg", jpeg[at:]).startswith("226")
        assert house.stored("front-door", photo) == jpeg
    assert len(house.rows()) == len(CUTS)


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_appe_resumes_too(house, jpeg, reset):
    """APPE goes on at the end of what is here, in several steps if need be."""
    camera = house.camera()
    photo, third = new_photo_id(), len(jpeg) // 3
    assert camera.put_part(f"APPE {photo}.jpg", jpeg[:third], reset=reset)[0] == "4"
    said(camera, jpeg)
    assert camera.put_part(f"APPE {photo}.jpg", jpeg[third : 2 * third], reset=reset)[0] == "4"
    assert house.rows() == []
    said(camera, jpeg)
    assert camera.put_part(f"APPE {photo}.jpg", jpeg[2 * third :]).startswith("226")
    assert house.stored("front-door", photo) == jpeg


def test_a_reset_at_the_end_is_believed_only_with_the_size_known(house, jpeg, photo_id):
    """A reset may have swallowed trailing bytes: without a size it is no end. With size and hash it may be."""
    camera = house.camera()
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg, reset=True)[0] == "4"
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {len(jpeg) - 1}"  # all is here, and nothing is stored
    said(camera, jpeg)
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg, reset=True).startswith("226")


def test_rest_beyond_what_is_here(house, jpeg, photo_id):
    """REST past the partial's end is refused, and nothing is lost by it."""
    camera = house.camera()
    camera.put_part(f"STOR {photo_id}.jpg", jpeg[:100])
    camera.ask("REST 101")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[101:]).startswith("554")
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 100"
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_rest_in_the_middle_of_what_is_here(house, jpeg, photo_id):
    """REST before the partial's end drops what is behind it."""
    camera = house.camera()
    camera.put_part(f"STOR {photo_id}.jpg", jpeg[:1000] + bytes(500))
    camera.ask("REST 1000")
    assert camera.put(f"STOR {photo_id}.jpg", jpeg[1000:], sha256=hashlib.sha256(jpeg).hexdigest())[:3] == "451"
    camera.put_part(f"STOR {photo_id}.jpg", jpeg[:1000] + bytes(500))
    said(camera, jpeg)
    camera.ask("REST 1000")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[1000:]).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_a_partial_with_a_hole_is_set_aside(house, jpeg, photo_id):
    """A partial whose middle was lost to a power cut: complete, wrong, set aside; SIZE is 0 and it is sent anew."""
    camera = house.camera()
    half = len(jpeg) // 2
    camera.put_part(f"STOR {photo_id}.jpg", jpeg[:half])
    partial = house.partial_dir / "front-door" / f"{photo_id}.part"
    partial.write_bytes(jpeg[: half // 2] + bytes(half - half // 2))
    camera.ask(f"REST {half}")
    said(camera, jpeg)
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[half:]).startswith("451")
    assert house.rows() == []
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 0"
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_set_aside_files_are_few(house, jpeg):
    """What is set aside does not fill the disk."""
    camera = house.camera()
    for _ in range(12):
        assert camera.put(f"STOR {new_photo_id()}.jpg", jpeg, sha256="0" * 64).startswith("550")
    assert len(list(house.partial_dir.glob("*/*"))) <= 8


def test_an_old_partial_without_a_hash_is_not_trusted(make_house, jpeg, photo_id, tmp_path):
    """What an earlier run left may have holes: resumed without any hash it is refused, and taken whole."""
    first = make_house()
    first.camera().put_part(f"STOR {photo_id}.jpg", jpeg[:2000])
    first.server.stop()
    first.start()
    camera = first.camera()
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 2000"
    camera.ask("REST 2000")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[2000:]).startswith("451")
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 0"
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg).startswith("226")


@pytest.mark.parametrize("command", ["SIZE", "STOR", "APPE"])
def test_a_ghost_gives_way(house, jpeg, photo_id, command, until):
    """A new session's SIZE, STOR or APPE closes the old session's transfer; all that it had sent counts."""
    ghost = house.camera()
    connection = ghost.data()
    half = len(jpeg) // 2
    assert ghost.ask(f"STOR {photo_id}.jpg")[0] == "1"
    connection.sendall(jpeg[:half])
    ghost.until_taken(connection)
    camera = house.camera()
    if command == "SIZE":
        assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {half}"
        camera.ask(f"REST {half}")
        assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[half:]).startswith("226")
    elif command == "STOR":
        assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    else:
        said(camera, jpeg)
        assert camera.put_part(f"APPE {photo_id}.jpg", jpeg[half:]).startswith("226")
    assert ghost.reply().startswith("421")
    assert ghost.socket.recv(1) == b""  # the whole session is closed
    connection.close()
    assert house.stored("front-door", photo_id) == jpeg
    assert len(house.rows()) == 1


def test_abor_keeps_what_came(house, jpeg, photo_id):
    """ABOR in the middle: 426 and 225, never a 226; the partial stays and the session goes on."""
    camera = house.camera()
    connection = camera.data()
    camera.settle()
    camera.ask(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg[:3000])
    camera.until_taken(connection)
    camera.send("ABOR")
    assert [camera.reply()[:3], camera.reply()[:3]] == ["426", "225"]
    connection.close()
    size = int(camera.ask(f"SIZE {photo_id}.jpg").split()[1])
    assert size <= 3000
    said(camera, jpeg)
    camera.ask(f"REST {size}")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[size:]).startswith("226")


def test_abor_before_the_data_connection(house, jpeg, photo_id):
    """A STOR that still waits for its data connection is ended with a 426 of its own."""
    camera = house.camera()
    camera.ask("EPSV")
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("150")
    camera.send("ABOR")
    assert [camera.reply()[:3], camera.reply()[:3]] == ["426", "225"]
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_a_stalled_upload_is_cut(make_house, jpeg, photo_id, monkeypatch):
    """A data connection that says nothing is given up, with what came kept, and the session goes on."""
    monkeypatch.setattr("broker.ftp.data.DataChannel.timeout", 0.2)
    camera = make_house().camera()
    connection = camera.data()
    camera.ask(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg[:3000])
    assert camera.reply().startswith("426")
    connection.close()
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 3000"


def test_many_sessions_for_one_photo(house, jpeg, photo_id):
    """Sessions that fall over one another with the same photo: it is stored once, whole."""
    cameras = [house.camera() for _ in range(6)]
    connections = [camera.data() for camera in cameras]
    for camera, connection in zip(cameras, connections, strict=True):
        camera.send(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"STOR {photo_id}.jpg")
        connection.sendall(jpeg)
        connection.close()
    replies = [[line[:3] for line in camera.lines_to_come(3)] for camera in cameras]
    assert all(lines[-1] in {b"226", b"421"} for lines in replies), replies
    assert [line for lines in replies for line in lines if line == b"226"][:1] == [b"226"]
    assert house.stored("front-door", photo_id) == jpeg
    assert house.events() == ["photo.stored"]
    assert not list(house.partial_dir.glob("*/*"))
