"""The verdict finds what is lost, doubled or broken, and nothing else."""

import hashlib

import pytest

from aperture.contract.ids import new_photo_id
from aperture.contract.messages import Manifest
from aperture.store import accounts, photos
from aperture.store.blobs import Arrival, LocalBlobs
from aperture.store.database import Database, sqlite_url
from simulator.verdict import ids, judge


class Archive:
    """A store and an archive, and one camera with its frames."""

    def __init__(self, root):
        self.root = root
        self.database = Database.open(sqlite_url(root / "aperture.db"))
        self.blobs = LocalBlobs(root=root / "photos")
        self.database.write(
            lambda connection: accounts.add(connection, name="cam", role=accounts.Role.CAMERA, now_ms=1)
        )
        self.frames = root / "taken"
        self.frames.mkdir()
        self.taken = {"cam": set()}

    def take(self, data: bytes) -> str:
        photo = new_photo_id()
        (self.frames / f"{len(self.taken['cam']):06}.jpg").write_bytes(data)
        self.taken["cam"].add(photo)
        return photo

    def store(self, photo: str, data: bytes) -> None:
        source = self.root / "arriving"
        source.write_bytes(data)
        assert self.blobs.adopt([Arrival("cam", photo, source)]) == [None]
        received = photos.Received(
            camera="cam",
            photo=photo,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            width=1,
            height=1,
            upload_started_ms=1,
            received_ms=2,
            stored_ms=3,
        )
        self.database.write(lambda connection: photos.receive(connection, received))

    def verdict(self, before=(), on_cards=()):
        return judge(
            database=self.database,
            blobs=self.blobs,
            taken=self.taken,
            frames={"cam": self.frames},
            before=before,
            on_cards=on_cards,
        )


@pytest.fixture
def archive(tmp_path):
    archive = Archive(tmp_path)
    yield archive
    archive.database.close()


def test_what_is_stored_as_it_was_taken_is_well(archive):
    for data in (b"one", b"two"):
        archive.store(archive.take(data), data)
    verdict = archive.verdict()
    assert verdict.kept_the_promise
    assert (verdict.frames, verdict.taken, verdict.stored) == (2, 2, 2)


def test_what_is_not_stored_is_lost(archive):
    """Whether the camera said that it had it, or only its announcement is known."""
    taken = archive.take(b"one")
    announced = new_photo_id()
    manifest = Manifest(photo=announced, seq=1, trigger="button", bytes=3, sha256="0" * 64)
    archive.database.write(lambda connection: photos.announce(connection, camera="cam", manifest=manifest, now_ms=1))
    verdict = archive.verdict()
    assert verdict.lost == sorted([taken, announced])
    assert not verdict.kept_the_promise


def test_what_lies_on_a_card_is_not_lost_but_not_well_either(archive):
    """Unless the archive has it all the same: a camera may not have heard of it."""
    first, second = archive.take(b"one"), archive.take(b"two")
    archive.store(second, b"two")
    verdict = archive.verdict(on_cards=[first, second])
    assert (verdict.waiting, verdict.lost) == ([first], [])
    assert not verdict.kept_the_promise


def test_a_frame_that_is_stored_twice_is_doubled(archive):
    photo, again = archive.take(b"one"), new_photo_id()
    archive.store(photo, b"one")
    archive.store(again, b"one")
    assert archive.verdict().doubled == sorted([photo, again])
    assert not archive.verdict().kept_the_promise


@pytest.mark.parametrize("damage", ["cut", "gone", "another"])
def test_what_no_sensor_gave_is_broken(archive, damage):
    """Cut short, not there at all, or bytes that the camera never saw though row and file agree."""
    photo = archive.take(b"a frame")
    archive.store(photo, b"a stranger" if damage == "another" else b"a frame")
    file = archive.root / "photos/cam" / f"{photo}.jpg"
    if damage == "cut":
        file.write_bytes(b"a fra")
    elif damage == "gone":
        file.unlink()
    assert archive.verdict().broken == [photo]
    assert not archive.verdict().kept_the_promise


def test_what_was_there_before_is_left_out(archive):
    archive.store(new_photo_id(), b"of an earlier fleet")
    assert archive.verdict(before=ids(archive.database, ["cam"])).kept_the_promise
