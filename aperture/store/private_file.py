"""Small files that hold secrets: readable by their owner alone, and whole or absent, even after a power cut."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from aperture.store.blobs import sync


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of the operating system, by number, that files are given to."""

    uid: int
    gid: int


def write(path: Path, content: str | bytes, *, owner: Owner | None = None) -> None:
    """Put `content` in `path` with mode 0600, in one step: a reader sees the old content or the new.

    Args:
        path: the file; its folder must be there.
        content: all that it is to hold; text as UTF-8.
        owner: whom to give it to; needs root. None: the user who runs us.

    Raises:
        OSError: as the operating system says; the old content is still there.
    """
    part = path.with_name(f".{path.name}.new")
    part.unlink(missing_ok=True)
    # O_EXCL and O_NOFOLLOW: whoever may write in this folder can't have us write through a link of theirs.
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        if owner is not None:
            os.fchown(handle, owner.uid, owner.gid)
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(handle)
    part.replace(path)
    sync(path.parent)


def make_folder(path: Path, *, owner: Owner | None = None, mode: int = 0o700) -> None:
    """Make a folder that only its owner may enter, or make it so. A link in its place is refused.

    Args:
        path: the folder; those above it are made, too.
        owner: whom to give it to; needs root. None: the user who runs us.
        mode: its permissions, where others may do something in it after all.

    Raises:
        OSError: as the operating system says.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What is changed is what was opened, whoever puts a link in its place meanwhile.
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if owner is not None:
            os.fchown(handle, owner.uid, owner.gid)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def hand_over(path: Path, *, owner: Owner) -> None:
    """Give a file, if it is there, to a user. Needs root.

    Raises:
        OSError: it is a link, or no file of a single name: it may be somebody else's.
    """
    try:
        # O_NONBLOCK: opening a named pipe would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise OSError(errno.EPERM, "this is no file of its own, and is not given away", str(path))
        os.fchown(handle, owner.uid, owner.gid)
    finally:
        os.close(handle)
