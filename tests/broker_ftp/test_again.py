"""The same photo again: a hand-over may be repeated as often as a 226 is lost, and a stored photo never changes."""

import hashlib

import pytest


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


@pytest.fixture
def camera(house, jpeg, photo_id):
    """A camera whose photo is stored, and which does not know it: the 226 was lost."""
    camera = house.camera()
    camera.put(f"STOR {photo_id}.jpg", jpeg)
    return house.camera()


@pytest.fixture(autouse=True)
def unchanged(house, jpeg, photo_id, camera):
    """Whatever is tried: one row, one file, one event, the same bytes, and no partial is left."""
    yield
    assert house.stored("front-door", photo_id) == jpeg
    assert len(house.rows()) == 1
    assert house.events() == ["photo.stored"]
    assert len(list(house.blobs.walk())) == 1
    assert not list(house.partial_dir.glob("*/*.part"))


def test_size_of_a_stored_photo_is_its_length(camera, jpeg, photo_id):
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {len(jpeg)}"


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("command", ["STOR", "APPE"])
def test_all_of_it_again(camera, jpeg, photo_id, command, said):
    """The whole photo again is read and answered 226."""
    assert camera.put(f"{command} {photo_id}.jpg", jpeg, said=said).startswith("226")


def test_nothing_left_to_append(camera, photo_id):
    """SIZE told the full length, APPE sends what is left of it: nothing."""
    assert camera.put_part(f"APPE {photo_id}.jpg", b"").startswith("226")


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("left", [0, 500])
def test_the_rest_again(camera, jpeg, photo_id, left, said):
    """REST + STOR of a stored photo, at its end or before it."""
    if said:
        camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}")
    camera.ask(f"REST {len(jpeg) - left}")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[len(jpeg) - left :]).startswith("226")


def test_another_rest_is_refused(camera, jpeg, photo_id):
    camera.ask(f"REST {len(jpeg) - 500}")
    assert camera.put_part(f"STOR {photo_id}.jpg", bytes(500)).startswith("553")


def test_rest_past_the_end_is_refused(camera, jpeg, photo_id):
    camera.ask(f"REST {len(jpeg) + 1}")
    assert camera.put_part(f"STOR {photo_id}.jpg", b"").startswith("554")


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("command", ["STOR", "APPE"])
def test_other_bytes_are_refused(camera, other_jpeg, photo_id, command, said):
    """The same id with other bytes: 553, and what is stored stays."""
    assert camera.put(f"{command} {photo_id}.jpg", other_jpeg, said=said).startswith("553")


def test_a_cut_repetition_changes_nothing(camera, jpeg, photo_id):
    """Half of a stored photo again, and gone: refused, and SIZE still tells the full length."""
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[: len(jpeg) // 2]).startswith("553")
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {len(jpeg)}"


def test_another_camera_can_t_have_it(house, camera, jpeg, other_jpeg, photo_id):
    """A photo id of another camera: 553 for the same bytes and for others, and SIZE knows nothing of it."""
    other = house.camera("back-yard")
    assert other.put(f"STOR {photo_id}.jpg", jpeg).startswith("553")
    assert other.put(f"STOR {photo_id}.jpg", other_jpeg).startswith("553")
    assert other.put(f"APPE {photo_id}.jpg", b"", said=False).startswith("553")
    assert other.ask(f"SIZE {photo_id}.jpg").startswith("550")
