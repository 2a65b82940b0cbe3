"""Unfinished uploads: `<root>/<camera>/<key>.part`, in a folder that nobody else reads.

A file that turned out wrong at its full length becomes `<key>.bad`, for whoever wants to know why; a few are kept.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from broker.ftp.uploads import Target

_KEPT_BAD = 8
_DAY_S = 86_400


class Partials:
    """The folder of partial files. Its calls are short, but they are calls to the file system."""

    def __init__(self, *, root: Path) -> None:
        """Use (and make) the folder `root`; it must lie on the photos' file system."""
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, target: Target) -> str:
        """Return where the bytes of an upload go."""
        return f"{self.root}/{target.camera}/{target.key}.part"

    def length(self, target: Target) -> int | None:
        """Return how much is there, None when nothing is."""
        try:
            return os.stat(self.path(target)).st_size  # noqa: PTH116 - on the way of every upload
        except FileNotFoundError:
            return None

    def read(self, target: Target) -> bytes | None:
        """Return what is there, None when nothing is."""
        try:
            return Path(self.path(target)).read_bytes()
        except FileNotFoundError:
            return None

    def open(self, target: Target, offset: int) -> int:
        """Open the file for writing from `offset` on, which drops what was behind it; return its descriptor.

        Raises:
            OSError: as the operating system says.
        """
        path = self.path(target)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if offset else os.O_TRUNC)
        try:
            handle = os.open(path, flags, 0o640)
        except FileNotFoundError:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, flags, 0o640)
        if offset:
            os.ftruncate(handle, offset)
            os.lseek(handle, offset, os.SEEK_SET)
        return handle

    def discard(self, target: Target) -> None:
        """Forget what came."""
        with suppress(FileNotFoundError):
            os.unlink(self.path(target))  # noqa: PTH108

    def set_aside(self, target: Target, source: Path | None = None) -> None:
        """Keep a wrong file (the partial one, or `source`) where no upload meets it, and only the newest few."""
        bad = Path(f"{self.root}/{target.camera}/{target.key}.bad")
        bad.parent.mkdir(parents=True, exist_ok=True)
        wrong = source or Path(self.path(target))
        with suppress(FileNotFoundError):
            wrong.rename(bad)
            os.utime(bad)
        for old in sorted(bad.parent.glob("*.bad"), key=_age_s)[_KEPT_BAD:]:
            old.unlink(missing_ok=True)

    def is_set_aside(self, target: Target) -> bool:
        """Whether an earlier upload of it was set aside."""
        return Path(f"{self.root}/{target.camera}/{target.key}.bad").exists()

    def prune(self, *, days: int) -> int:
        """Remove files that nobody has touched for `days`; return how many."""
        gone = 0
        for path in (*self.root.glob("*/*.part"), *self.root.glob("*/*.bad")):
            if _age_s(path) > days * _DAY_S:
                path.unlink(missing_ok=True)
                gone += 1
        return gone


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
