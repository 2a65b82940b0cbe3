"""A row says that a photo is stored, and its file is gone or cut: its camera, which has the only copy, is not let go."""

import hashlib

import pytest

from aperture.clock import now_ms
from aperture.store import photos


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


@pytest.fixture(params=["gone", "cut"])
def lose(request, house):
    """Damage a photo's file."""

    def damage(camera, photo):
        path = house.blobs.path(camera, photo)
        path.unlink() if request.param == "gone" else path.write_bytes(path.read_bytes()[:-1])

    return damage


@pytest.fixture
def camera(house, jpeg, photo_id, lose):
    camera = house.camera()
    camera.put(f"STOR {photo_id}.jpg", jpeg)
    lose("front-door", photo_id)
    return camera


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("command", ["STOR", "APPE"])
def test_the_bytes_are_taken_again(house, camera, jpeg, photo_id, command, said):
    """SIZE tells that nothing is here; the same bytes are written anew, and nobody hears of a second photo."""
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 0"
    assert camera.put(f"{command} {photo_id}.jpg", jpeg, said=said).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {len(jpeg)}"
    assert house.events() == ["photo.stored"]
    assert len(house.rows()) == 1


def test_only_the_same_bytes_will_do(house, camera, other_jpeg, photo_id):
    """What was stored and lost is not replaced by another picture."""
    assert camera.put(f"STOR {photo_id}.jpg", other_jpeg, said=False)[0] in "45"
    assert camera.put(f"STOR {photo_id}.jpg", other_jpeg)[0] in "45"
    assert house.events() == ["photo.stored"]


def test_a_cut_upload_of_them_resumes(house, camera, jpeg, photo_id):
    """Half of it, then REST: as if the photo were new."""
    half = len(jpeg) // 2
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[:half]).startswith("426")
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {half}"
    camera.ask(f"REST {half}")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[half:]).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


@pytest.mark.parametrize("command", ["STOR", "APPE"])
def test_nothing_to_send_is_no_226(camera, jpeg, photo_id, command):
    """A REST to the full length, or an empty APPE, vouches for nothing that is not on the disk."""
    if command == "STOR":
        camera.ask(f"REST {len(jpeg)}")
    camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}")
    assert camera.put_part(f"{command} {photo_id}.jpg", b"")[0] in "45"


def test_a_deleted_photo_is_not_wanted_again(house, camera, jpeg, photo_id):
    """The owner deleted it, and its bytes with it: the camera may let go of it."""
    house.database.write(lambda c: photos.delete(c, photo=photo_id, now_ms=now_ms()))
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {len(jpeg)}"
    assert camera.put(f"STOR {photo_id}.jpg", jpeg) == "226 Stored already."


def test_a_foreign_camera_s_photo_too(house, lose, jpeg):
    """The same file again, and the first one's bytes are gone: they are written, under the id that it has."""
    camera = house.camera("garage", ftp_only=True)
    camera.put("STOR a.jpg", jpeg, said=False)
    (row,) = house.rows()
    lose("garage", row.id)
    assert camera.put("STOR a.jpg", jpeg, said=False).startswith("226")
    assert [again.id for again in house.rows()] == [row.id]
    assert house.stored("garage", row.id) == jpeg
    assert house.events() == ["photo.stored"]
