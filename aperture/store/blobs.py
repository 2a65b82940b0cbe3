"""The bytes of photos, in files: `<root>/<camera>/<photo>.jpg`.

A photo appears under its name only when it is whole and on the disk: fsync of the file, rename, fsync of the
directory, in that order. A batch is synced as a whole (docs/adr/0006-batches-are-synced-as-a-whole.md).
"""

import asyncio
import ctypes
import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from aperture.contract.ids import is_photo_id, is_slug
from aperture.store.errors import DamagedError, DiskFullError, NotFoundError, StoreUnavailableError

log = structlog.get_logger(__name__)

_MANY = 4
"""From so many on, one syncfs is cheaper than an fsync each."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified file that is to become the photo's bytes."""

    camera: str
    photo: str
    source: Path


class Blobs(Protocol):
    """Where photos' bytes are kept. The methods without `async` block: call them from a thread."""

    def adopt(self, arrivals: Sequence[Arrival]) -> list[OSError | None]:
        """Make each arrival durable under its photo's name; one answer each, None when it is done."""
        ...

    def size(self, camera: str, photo: str) -> int | None:
        """Return the length in bytes, None when there is no such photo."""
        ...

    def read(self, camera: str, photo: str) -> bytes:
        """Return the bytes. Raises `NotFoundError`."""
        ...

    async def aread(self, camera: str, photo: str) -> bytes:
        """Return the bytes. Raises `NotFoundError`."""
        ...

    def delete(self, camera: str, photo: str) -> None:
        """Remove the bytes; no error when they are gone already."""
        ...

    def walk(self) -> Iterator[tuple[str, str]]:
        """Yield (camera, photo) of all that is kept."""
        ...


class LocalBlobs:
    """`Blobs` in a folder of this host."""

    def __init__(self, *, root: Path) -> None:
        """Use (and make) the folder `root`. Arrivals must lie on the same file system."""
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, camera: str, photo: str) -> Path:
        """Return where a photo's bytes are, or would be.

        Raises:
            NotFoundError: one of the names can't be a photo's.
        """
        if not (is_slug(camera) and is_photo_id(photo)):
            raise NotFoundError("there is no such photo")
        return self.root / camera / f"{photo}.jpg"

    def adopt(self, arrivals: Sequence[Arrival]) -> list[OSError | None]:
        """See `Blobs.adopt`."""
        results = self._sync([str(arrival.source) for arrival in arrivals])
        folders: dict[str, OSError | None] = {}
        for index, arrival in enumerate(arrivals):
            if results[index] is None:
                results[index] = self._rename(arrival, folders)
        folders = dict(zip(folders, self._sync(list(folders)), strict=True))
        return [result or folders[self._folder(arrival)] for arrival, result in zip(arrivals, results, strict=True)]

    def size(self, camera: str, photo: str) -> int | None:
        """See `Blobs.size`."""
        try:
            return self.path(camera, photo).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, camera: str, photo: str) -> bytes:
        """See `Blobs.read`."""
        try:
            return self.path(camera, photo).read_bytes()
        except FileNotFoundError:
            raise NotFoundError("the photo's bytes are not there") from None
        except OSError as error:
            raise storage_error(error) from error

    async def aread(self, camera: str, photo: str) -> bytes:
        """See `Blobs.aread`."""
        return await asyncio.to_thread(self.read, camera, photo)

    def delete(self, camera: str, photo: str) -> None:
        """See `Blobs.delete`."""
        self.path(camera, photo).unlink(missing_ok=True)

    def walk(self) -> Iterator[tuple[str, str]]:
        """See `Blobs.walk`."""
        for path in self.root.glob("*/*.jpg"):
            if is_slug(path.parent.name) and is_photo_id(path.stem):
                yield path.parent.name, path.stem

    def _folder(self, arrival: Arrival) -> str:
        return f"{self.root}/{arrival.camera}"

    def _rename(self, arrival: Arrival, folders: dict[str, OSError | None]) -> OSError | None:
        folder, target = self._folder(arrival), self.path(arrival.camera, arrival.photo)
        try:
            try:
                os.rename(arrival.source, target)  # noqa: PTH104 - on the way of every photo
            except FileNotFoundError:
                target.parent.mkdir(exist_ok=True)
                sync(self.root)
                os.rename(arrival.source, target)  # noqa: PTH104
        except OSError as error:
            return error
        folders[folder] = None
        return None

    def _sync(self, paths: list[str]) -> list[OSError | None]:
        if len(paths) < _MANY or _syncfs is None:
            return [_try_sync(path) for path in paths]
        return [_try_syncfs(self.root)] * len(paths)


def read_intact(blobs: Blobs, camera: str, photo: str, sha256: str | None) -> bytes:
    """Return a photo's bytes if they are still those that were stored: what is shown goes through here.

    Raises:
        NotFoundError: there are none.
        DamagedError: they were changed on the disk.
        StoreUnavailableError: they can't be read now.
    """
    data = blobs.read(camera, photo)
    if sha256 is None or hashlib.sha256(data).hexdigest() == sha256:
        return data
    log.error("photo damaged", camera=camera, photo=photo, bytes=len(data))
    raise DamagedError("the bytes on the disk are not those that were stored: restore them from a backup")


def sync(path: Path | str) -> None:
    """Have a file or a directory on the disk before returning (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_error(error: OSError) -> DiskFullError | StoreUnavailableError:
    """Return the store's error for one of the operating system's."""
    if error.errno in _FULL:
        return DiskFullError("the disk with the photos is full: make room")
    return StoreUnavailableError(f"the photos' folder does not work: {error.strerror}")


def _try_sync(path: str) -> OSError | None:
    try:
        sync(path)
    except OSError as error:
        return error
    return None


_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
"""syncfs(2): has a whole file system on the disk before returning. Linux only; an error is told since Linux 5.8."""


def _try_syncfs(root: Path) -> OSError | None:
    handle = os.open(root, os.O_RDONLY)
    try:
        if _syncfs is None or _syncfs(handle) == 0:
            return None
        code = ctypes.get_errno()
        return OSError(code, os.strerror(code))
    finally:
        os.close(handle)
