"""Attempts that failed half-way, once or often: each photo is there once, and the others of a batch don't suffer."""

import errno
import os
from pathlib import Path

import pytest

from aperture.contract.ids import new_photo_id
from aperture.store.errors import StoreUnavailableError
from broker.ftp import sweep


def fail(_):
    raise StoreUnavailableError("locked")


def test_a_foreign_photo_whose_commit_failed_often_is_one_photo(house, jpeg):
    """Each attempt puts its file in the same place: after the restart there is one photo, and one event."""
    camera = house.camera("garage", ftp_only=True)
    write, house.database.write = house.database.write, fail
    for _ in range(3):
        assert camera.put("STOR a.jpg", jpeg, said=False).startswith("451")
    house.database.write = write
    assert len(list(house.blobs.walk())) == 1
    assert camera.put("STOR a.jpg", jpeg, said=False).startswith("226")
    house.server.stop()
    house.start()
    (row,) = house.rows()
    assert house.stored("garage", row.id) == jpeg
    assert house.events() == ["photo.stored"]


@pytest.mark.parametrize("days", [0.5, 2])
def test_the_sweep_takes_a_foreign_photo_once(house, jpeg, days):
    """Files with the same bytes from one evening are one photo; from another day they may be a photo of their own."""
    house.camera("garage", ftp_only=True).put("STOR a.jpg", jpeg, said=False)
    house.server.stop()
    path = house.blobs.path("garage", new_photo_id())
    path.write_bytes(jpeg)
    at_s = path.stat().st_mtime - days * 86_400
    os.utime(path, (at_s, at_s))
    house.start()
    alone = days < 1
    assert len(house.rows()) == (1 if alone else 2)
    assert path.exists() != alone


def test_the_sweep_keeps_the_only_bytes(house, jpeg):
    """The photo that a file repeats has lost its own bytes: then the file stays, and is a photo."""
    house.camera("garage", ftp_only=True).put("STOR a.jpg", jpeg, said=False)
    house.server.stop()
    ((_, first),) = house.blobs.walk()
    path = house.blobs.path("garage", first)
    path.rename(path.with_stem(new_photo_id()))
    house.start()
    ((camera, photo),) = house.blobs.walk()
    assert house.stored(camera, photo) == jpeg


def test_the_sweep_syncs_before_it_commits(house, jpeg, photo_id, monkeypatch):
    """Whoever renamed the file may have died before it was on the disk: no row before it is."""
    house.camera()
    house.server.stop()
    path = house.blobs.path("front-door", photo_id)
    path.parent.mkdir()
    path.write_bytes(jpeg)
    synced = []
    monkeypatch.setattr(sweep, "sync", lambda what: synced.append((what, len(house.rows()))))
    house.start()
    assert synced == [(path, 0), (path.parent, 0)]
    assert house.stored("front-door", photo_id) == jpeg


def test_the_sweep_leaves_what_can_t_be_synced(house, jpeg, photo_id, monkeypatch):
    """A disk that fails at the start is no reason to believe a file, to move it, or not to start."""
    house.camera()
    house.server.stop()
    path = house.blobs.path("front-door", photo_id)
    path.parent.mkdir()
    path.write_bytes(jpeg)

    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "sync", broken)
        house.start()
    assert house.rows() == []
    assert path.read_bytes() == jpeg
    house.server.stop()
    house.start()
    assert house.stored("front-door", photo_id) == jpeg


def together(house, cameras, names, data):
    """Have several cameras' uploads committed in one batch; return their replies' codes."""
    held = []
    committer = house.server._committer
    submit = committer.submit

    def hold(upload, *, session):
        held.append((upload, session))
        if len(held) == len(cameras):
            committer._commit([upload for upload, _ in held])

    committer.submit = hold
    for camera, name, content in zip(cameras, names, data, strict=True):
        connection = camera.data()
        camera.send(f"STOR {name}")
        connection.sendall(content)
        connection.close()
    replies = [[camera.reply()[:3] for _ in range(2)][1] for camera in cameras]
    committer.submit = submit
    return replies


def test_a_file_that_can_t_be_read_fails_alone(house, jpeg, other_jpeg, monkeypatch):
    """Of two uploads in a batch one's file can't be read: it is kept and asked for later, the other is stored."""
    cameras = [house.camera("front-door"), house.camera("back-yard")]
    ids = [new_photo_id(), new_photo_id()]

    def broken(path, *args, **options):
        if path.endswith(f"{ids[1]}.part"):
            raise OSError(errno.EIO, "Input/output error")
        return Path(path).open(*args, **options)

    monkeypatch.setattr("broker.ftp.batch.open", broken, raising=False)
    assert together(house, cameras, [f"{one}.jpg" for one in ids], [jpeg, other_jpeg]) == ["226", "451"]
    monkeypatch.undo()
    assert [row.id for row in house.rows()] == ids[:1]
    assert cameras[1].ask(f"SIZE {ids[1]}.jpg") == f"213 {len(other_jpeg) - 1}"


def test_a_file_that_can_t_be_cleared_away_fails_nobody(house, jpeg, monkeypatch):
    """A wrong upload that can't be set aside is refused as ever, and the stored one beside it has its 226."""
    cameras = [house.camera("front-door"), house.camera("back-yard")]
    ids = [new_photo_id(), new_photo_id()]

    def broken(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(house.server._kit.partials, "set_aside", broken)
    assert together(house, cameras, [f"{one}.jpg" for one in ids], [jpeg, b"\xff\xd8\xff\xd9"]) == ["226", "550"]
    assert [row.id for row in house.rows()] == ids[:1]


@pytest.mark.parametrize("ftp_only", [False, True], ids=["our camera", "foreign camera"])
def test_appe_goes_on_where_size_says(house, jpeg, ftp_only):
    """All bytes came and the commit failed: SIZE holds the last one back, and APPE takes it there, not behind it."""
    camera = house.camera("garage", ftp_only=ftp_only)
    name = "a.jpg" if ftp_only else f"{new_photo_id()}.jpg"
    read, house.database.read = house.database.read, fail
    assert camera.put(f"STOR {name}", jpeg, said=False).startswith("451")
    house.database.read = read
    size = int(camera.ask(f"SIZE {name}").split()[1])
    assert size == len(jpeg) - 1
    assert camera.put_part(f"APPE {name}", jpeg[size:]).startswith("226")
    (row,) = house.rows()
    assert house.stored("garage", row.id) == jpeg
