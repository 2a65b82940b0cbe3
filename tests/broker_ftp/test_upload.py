"""A photo that is handed over: 226 means complete, verified, on disk and in the database."""

import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id, recovered_photo_id
from aperture.contract.messages import Manifest
from aperture.store import photos


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


def announce(house, photo, data, *, camera="front-door", sha256=None):
    manifest = Manifest(
        photo=photo, seq=1, trigger="button", bytes=len(data), sha256=sha256 or hashlib.sha256(data).hexdigest()
    )
    return house.database.write(lambda c: photos.announce(c, camera=camera, manifest=manifest, now_ms=now_ms()))


def test_226_means_stored(house, jpeg, photo_id, until):
    """After 226 the bytes are under their final name, the row and one event are there, and no partial is."""
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg
    (row,) = house.rows()
    assert (row.width, row.height, row.bytes, row.origin) == (320, 240, len(jpeg), "camera")
    assert row.sha256 == hashlib.sha256(jpeg).hexdigest()
    assert row.upload_started_ms <= row.received_ms <= row.stored_ms
    assert house.events() == ["photo.stored"]
    assert not list(house.partial_dir.glob("*/*"))
    until(lambda: house.hints)  # the hint comes after the row


def test_one_connection_many_photos(house, draw_photo):
    """A camera keeps its control connection: each photo is stored under its own id."""
    camera = house.camera()
    taken = {new_photo_id(): draw_photo(seed=seed) for seed in range(5)}
    for photo, data in taken.items():
        assert camera.put(f"STOR {photo}.jpg", data).startswith("226")
    assert {photo: house.stored("front-door", photo) for photo in taken} == taken


def test_without_size_and_hash_the_jpeg_decides(house, jpeg, photo_id):
    """With nothing announced, a JPEG that is walked to its end is taken."""
    assert house.camera().put(f"STOR {photo_id}.jpg", jpeg, said=False).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_trailing_bytes_are_kept(house, jpeg, photo_id):
    """Bytes behind the end marker are allowed, and stored as they came."""
    assert house.camera().put(f"STOR {photo_id}.jpg", jpeg + bytes(100)).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg + bytes(100)


@pytest.mark.parametrize("way", ["plain"])  # test_tls.py has what TLS makes of it
@pytest.mark.parametrize("fin", [False, True])
def test_data_ahead_of_stor(house, jpeg, photo_id, fin, until):
    """Bytes, and even the end of the data, that arrive before STOR are not lost."""
    camera = house.camera()
    connection = camera.data()
    camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}")
    connection.sendall(jpeg)
    camera.until_taken(connection)
    if fin:
        connection.shutdown(socket.SHUT_WR)
    camera.settle()  # the server has had every chance to read too early
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("125")
    connection.close()
    assert camera.reply().startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_stor_before_the_data_connection(house, jpeg, photo_id):
    """PASV, STOR, and only then the connection: the order of RFC 959 works as well."""
    camera = house.camera()
    port = int(camera.ask("EPSV").split("|")[3])
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("150")
    with camera.connect(port) as connection:
        connection.sendall(jpeg)
    assert camera.reply().startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_nothing_overtakes_the_226(house, jpeg, photo_id):
    """Commands that are sent while the photo is on its way are answered after it, in their order."""
    camera = house.camera()
    connection = camera.data()
    camera.send(f"STOR {photo_id}.jpg", "NOOP", "PWD", f"SIZE {photo_id}.jpg", "QUIT")
    connection.sendall(jpeg)
    connection.close()
    codes = [camera.reply() for _ in range(6)]
    assert codes.pop(0)[0] == "1"
    assert [code[:3] for code in codes] == ["226", "200", "257", "213", "221"]
    assert codes[3] == f"213 {len(jpeg)}"


def test_manifest_gives_size_and_hash(house, jpeg, other_jpeg, photo_id):
    """A manifest that came first is what the bytes are held against."""
    house.camera()
    announce(house, photo_id, jpeg)
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg[:-100], said=False).startswith("426")
    wrong = jpeg[:-3] + b"\0" + jpeg[-2:]
    assert camera.put(f"STOR {photo_id}.jpg", wrong, said=False).startswith("550")
    assert house.stored("front-door", photo_id) is None
    assert camera.put(f"STOR {photo_id}.jpg", jpeg, said=False).startswith("226")
    assert house.events() == ["photo.announced", "photo.stored"]


def test_a_suspect_photo_is_mended(house, jpeg, other_jpeg, photo_id):
    """Bytes that a later manifest contradicts: SIZE says 0, the right bytes replace them, wrong ones again do not."""
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", other_jpeg).startswith("226")
    assert announce(house, photo_id, jpeg) == "suspect"
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 0"
    assert camera.put(f"STOR {photo_id}.jpg", other_jpeg, said=False)[0] == "5"
    assert house.blobs.read("front-door", photo_id) == other_jpeg
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg
    assert house.events()[-1] == "photo.mended"


def test_a_vanished_camera_s_photo_is_stored(house, jpeg, photo_id, until):
    """A camera that is gone before its 226 has lost the 226, not the photo."""
    camera = house.camera()
    connection = camera.data()
    camera.ask(f"ALLO {len(jpeg)}")
    camera.send(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg)
    connection.close()
    camera.close()
    until(lambda: house.stored("front-door", photo_id) == jpeg)
    assert len(house.rows()) == 1


def test_a_hundred_cameras_share_transactions(make_house, draw_photo):
    """A hundred photos at once are all stored, by far fewer transactions than photos."""
    house = make_house(max_per_address=200)
    writes = []
    inner = house.database.write
    house.database.write = lambda work: (writes.append(1), inner(work))[1]
    cameras = [house.camera(f"camera-{number % 5}") for number in range(100)]
    accounts_made = len(writes)
    taken = [(camera, f"camera-{number % 5}", new_photo_id()) for number, camera in enumerate(cameras)]
    data = [draw_photo(seed=seed) for seed in range(8)]
    connections = []
    for number, (camera, _, photo) in enumerate(taken):
        connection = camera.data()
        camera.ask(f"SITE SHA256 {hashlib.sha256(data[number % 8]).hexdigest()}")
        assert camera.ask(f"STOR {photo}.jpg")[0] == "1"
        connections.append(connection)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda pair: (pair[1].sendall(data[pair[0] % 8]), pair[1].close()), enumerate(connections)))
    assert all(camera.reply().startswith("226") for camera, _, _ in taken)
    assert all(house.stored(name, photo) == data[number % 8] for number, (_, name, photo) in enumerate(taken))
    assert len(house.events()) == 100
    assert len(writes) - accounts_made <= 40


def test_firmware_can_be_read(house):
    """A camera reads what is in /firmware, from an offset too, and asks for its size."""
    (house.firmware_dir / "app.bin").write_bytes(os.urandom(300_000))
    whole = (house.firmware_dir / "app.bin").read_bytes()
    client = house.ftplib("front-door")
    assert client.size("/firmware/app.bin") == len(whole)
    parts = []
    client.retrbinary("RETR /firmware/app.bin", parts.append)
    assert b"".join(parts) == whole
    client.cwd("/firmware")
    parts.clear()
    client.retrbinary("RETR app.bin", parts.append, rest=1000)
    assert b"".join(parts) == whole[1000:]
    client.close()


def test_a_photo_whose_id_the_camera_lost_is_not_stored_twice(house, jpeg, photo_id):
    """Its card lost the facts: the bytes come under an id made of number and hash, and are known by it."""
    announce(house, photo_id, jpeg)
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    again = recovered_photo_id(1, hashlib.sha256(jpeg).hexdigest())
    for _ in range(2):
        assert camera.put(f"STOR {again}.jpg", jpeg).startswith("226 Stored already")
    (row,) = house.rows()
    assert row.id == photo_id
    assert house.events().count("photo.stored") == 1
    assert not list(house.partial_dir.glob("*/*"))
    house.blobs.path("front-door", photo_id).unlink()
    assert camera.put(f"STOR {again}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg, "and it mends what the server lost"
