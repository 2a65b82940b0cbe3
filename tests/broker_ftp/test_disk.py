"""A disk that is full, a database that is locked: a 4xx in words, nothing lost, and it works again afterwards."""

import contextlib
import errno
import hashlib
import os
import sqlite3
import subprocess

import pytest

from aperture.contract.ids import new_photo_id
from aperture.store.errors import DiskFullError, StoreUnavailableError


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB. Mounted, so it needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root: sudo make test")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small tmpfs can't be mounted in this container: run it with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file, *, leave):
    """Make a file that takes all the room but some."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while stream.write(bytes(4096)):
            pass
    os.truncate(file, file.stat().st_size - leave)


def test_a_full_disk(make_house, small_disk, jpeg, photo_id):
    """452 when the disk is full; what came is kept; once there is room the upload goes on."""
    house = make_house(small_disk)
    camera = house.camera()
    ballast = small_disk / "ballast"
    fill(ballast, leave=8192)
    big = jpeg + bytes(100_000)
    assert camera.put(f"STOR {photo_id}.jpg", big).startswith("452")
    assert house.rows() == []
    ballast.unlink()
    size = int(camera.ask(f"SIZE {photo_id}.jpg").split()[1])
    assert 0 < size < len(big)
    camera.ask(f"SITE SHA256 {hashlib.sha256(big).hexdigest()}", f"ALLO {len(big)}", f"REST {size}")
    assert camera.put_part(f"STOR {photo_id}.jpg", big[size:]).startswith("226")
    assert house.stored("front-door", photo_id) == big


def test_a_failed_sync_is_not_tried_again(house, jpeg, photo_id):
    """After a failed fsync the file can't be trusted, whatever the next one says: the bytes are asked for anew."""
    camera = house.camera()
    adopt = house.blobs.adopt
    house.blobs.adopt = lambda arrivals: [OSError(errno.ENOSPC, "No space left on device") for _ in arrivals]
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("452")
    house.blobs.adopt = lambda arrivals: [OSError(errno.EIO, "Input/output error") for _ in arrivals]
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("451")
    house.blobs.adopt = adopt
    assert camera.ask(f"SIZE {photo_id}.jpg")[:3] in {"550", "213"}
    assert not list(house.partial_dir.glob("*/*.part"))
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


@pytest.mark.parametrize(
    ("failure", "code"),
    [(StoreUnavailableError("locked"), "451"), (DiskFullError("full"), "452"), (RuntimeError("a defect"), "451")],
)
@pytest.mark.parametrize("verb", ["read", "write"])
def test_a_database_that_fails(house, jpeg, photo_id, failure, code, verb):
    """Without a committed row there is no 226; the next attempt succeeds, and there is one photo."""
    camera = house.camera()
    whole = getattr(house.database, verb)

    def fail(work):
        raise failure

    setattr(house.database, verb, fail)
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith(code)
    setattr(house.database, verb, whole)
    assert house.rows() == []
    known = camera.ask(f"SIZE {photo_id}.jpg")
    here = int(known.split()[1]) if known.startswith("213") else 0
    assert here < len(jpeg)  # the full length would tell the camera that it is stored
    camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}", f"REST {here}")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[here:]).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg
    assert house.events() == ["photo.stored"]


def test_a_locked_database_delays_nobody_else(house, jpeg, photo_id):
    """While another process holds the write lock the loop still answers, and the 226 comes when the lock is gone."""
    camera, bystander = house.camera(), house.camera("back-yard")
    lock = sqlite3.connect(house.root / "aperture.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    connection = camera.data()
    camera.ask(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg)
    connection.close()
    assert bystander.ask("NOOP").startswith("200")
    assert house.rows() == []
    lock.execute("COMMIT")
    lock.close()
    assert camera.reply().startswith("226")


def test_one_bad_file_does_not_fail_the_batch(house, jpeg, until):
    """Of two uploads in one batch, one can't be synced: the other is stored."""
    cameras = [house.camera("front-door"), house.camera("back-yard")]
    taken = [new_photo_id(), new_photo_id()]
    adopt = house.blobs.adopt

    def partly(arrivals):
        good = [arrival for arrival in arrivals if arrival.camera == "front-door"]
        done = dict(zip(good, adopt(good), strict=True))
        return [done.get(arrival, OSError(errno.EIO, "Input/output error")) for arrival in arrivals]

    house.blobs.adopt = partly
    connections = [camera.data() for camera in cameras]
    for camera, connection, photo in zip(cameras, connections, taken, strict=True):
        camera.send(f"STOR {photo}.jpg")
        connection.sendall(jpeg)
        connection.close()
    for camera in cameras:
        assert camera.reply()[0] == "1"
    assert [camera.reply()[:3] for camera in cameras] == ["226", "451"]
    assert [row.camera for row in house.rows()] == ["front-door"]
