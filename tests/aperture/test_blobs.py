import ctypes
import errno
import os
from pathlib import Path

import pytest

from aperture.contract.ids import new_photo_id
from aperture.store import blobs as module
from aperture.store.blobs import Arrival, LocalBlobs
from aperture.store.errors import DiskFullError, NotFoundError, StoreUnavailableError


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(root=tmp_path / "photos")


@pytest.fixture
def arrive(tmp_path):
    def make(data: bytes = b"x", *, camera: str = "cam") -> Arrival:
        photo = new_photo_id()
        source = tmp_path / f"{photo}.part"
        source.write_bytes(data)
        return Arrival(camera, photo, source)

    return make


@pytest.mark.parametrize("count", [1, 2, 30])
def test_arrivals_become_photos_whole(blobs, arrive, count):
    """Several at one time, of several cameras; their sources are gone."""
    arrivals = [arrive(bytes([index]) * 1000, camera=f"cam{index % 3}") for index in range(count)]
    assert blobs.adopt(arrivals) == [None] * count
    for index, one in enumerate(arrivals):
        assert blobs.read(one.camera, one.photo) == bytes([index]) * 1000
        assert blobs.size(one.camera, one.photo) == 1000
        assert not one.source.exists()
    assert sorted(blobs.walk()) == sorted((one.camera, one.photo) for one in arrivals)


def test_the_order_is_file_then_name_then_folder(blobs, arrive, monkeypatch):
    """A power cut at any point leaves no name without its bytes: each step comes after the one before has returned."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(handle: int) -> None:
        steps.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")  # noqa: PTH115 - a handle has no other name
        fsync(handle)

    def watched_rename(source: Path, target: Path) -> None:
        rename(source, target)
        steps.append(f"rename {source.name}")

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    one = arrive()
    assert blobs.adopt([one]) == [None]
    name = one.source.name
    assert steps == [f"fsync {name}", "fsync photos", f"rename {name}", "fsync cam"]
    steps.clear()
    two = arrive()
    assert blobs.adopt([two]) == [None]
    assert steps == [f"fsync {two.source.name}", f"rename {two.source.name}", "fsync cam"]


def test_one_that_fails_takes_nobody_with_it(blobs, arrive):
    good, gone, other = arrive(), arrive(), arrive(camera="other")
    gone.source.unlink()
    results = blobs.adopt([good, gone, other])
    assert [type(result) for result in results] == [type(None), FileNotFoundError, type(None)]
    assert blobs.size("cam", gone.photo) is None
    assert blobs.read("cam", good.photo) == blobs.read("other", other.photo) == b"x"


def test_a_folder_that_can_t_be_synced_is_nobody_s_success(blobs, arrive, monkeypatch):
    """The names may not outlive a power cut: so none of them is acknowledged."""
    sync = module.sync

    def fail(path: str) -> None:
        if Path(path).name == "cam":
            raise OSError(errno.EIO, "broken")
        sync(path)

    monkeypatch.setattr(module, "sync", fail)
    results = blobs.adopt([arrive(), arrive(), arrive(camera="other")])
    assert [getattr(result, "errno", None) for result in results] == [errno.EIO, errno.EIO, None]


@pytest.mark.parametrize("at", [1, 2], ids=["the files", "their names"])
def test_a_batch_that_can_t_be_synced_is_nobody_s_success(blobs, arrive, monkeypatch, at):
    """One syncfs speaks for the whole batch: when it fails, nobody is told that a photo is safe."""
    calls = []

    def fail(_handle: int) -> int:
        calls.append(1)
        ctypes.set_errno(errno.EIO)
        return -1 if len(calls) == at else 0

    monkeypatch.setattr(module, "_syncfs", fail)
    arrivals = [arrive(camera=f"cam{index}") for index in range(6)]
    assert [getattr(result, "errno", None) for result in blobs.adopt(arrivals)] == [errno.EIO] * 6
    assert len(calls) == at


def test_without_syncfs_each_is_synced(blobs, arrive, monkeypatch):
    monkeypatch.setattr(module, "_syncfs", None)
    assert blobs.adopt([arrive() for _ in range(6)]) == [None] * 6


@pytest.mark.parametrize(
    ("camera", "photo"),
    [
        ("..", "a" * 26),
        ("cam/../..", "a" * 26),
        ("cam", "../../etc/passwd"),
        ("cam", "a" * 25),
        ("", "a" * 26),
        ("CAM", "a" * 26),
    ],
)
def test_no_name_leads_out_of_the_folder(blobs, camera, photo):
    for ask in (blobs.path, blobs.read, blobs.delete, blobs.size):
        with pytest.raises(NotFoundError):
            ask(camera, photo)


async def test_what_is_not_there_is_said_so(blobs):
    photo = new_photo_id()
    assert blobs.size("cam", photo) is None
    blobs.delete("cam", photo)
    with pytest.raises(NotFoundError):
        blobs.read("cam", photo)
    with pytest.raises(NotFoundError):
        await blobs.aread("cam", photo)


async def test_a_folder_in_a_photo_s_place_is_trouble_not_absence(blobs):
    photo = new_photo_id()
    blobs.path("cam", photo).mkdir(parents=True)
    with pytest.raises(StoreUnavailableError):
        await blobs.aread("cam", photo)


def test_deleted_is_gone(blobs, arrive):
    one = arrive()
    blobs.adopt([one])
    blobs.delete("cam", one.photo)
    blobs.delete("cam", one.photo)
    assert (blobs.size("cam", one.photo), list(blobs.walk())) == (None, [])


def test_only_photos_are_walked(blobs, arrive):
    """Partial files, other people's files and folders are none."""
    one = arrive()
    blobs.adopt([one])
    for name in (".probe", "x.jpg", f"{new_photo_id()}.part", f".{new_photo_id()}.jpg"):
        (blobs.root / "cam" / name).write_bytes(b"")
    (blobs.root / "NOT").mkdir()
    (blobs.root / "NOT" / f"{new_photo_id()}.jpg").write_bytes(b"")
    assert list(blobs.walk()) == [("cam", one.photo)]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskFullError), (errno.EDQUOT, DiskFullError), (errno.EIO, StoreUnavailableError),
     (errno.EROFS, StoreUnavailableError), (errno.EACCES, StoreUnavailableError)],
)  # fmt: skip
def test_the_system_s_errors_have_ours(number, kind):
    error = module.storage_error(OSError(number, os.strerror(number)))
    assert type(error) is kind


def test_a_full_disk_leaves_no_name(tmp_path, blobs, arrive):
    """On a real file system without room: the arrival's bytes can't be synced, so the photo does not appear."""
    one = arrive()
    one.source.unlink()
    one.source.symlink_to("/dev/full")
    (result,) = blobs.adopt([one])
    assert isinstance(result, OSError)
    assert blobs.size("cam", one.photo) is None
