"""Small files that hold secrets: readable by their owner alone, and whole or absent, even after a power cut."""

import os
from dataclasses import dataclass
from pathlib import Path

from aperture.store.blobs import sync


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of the operating system, by number, that files are given to."""

    uid: int
    gid: int


def write(path: Path, text: str, *, owner: Owner | None = None) -> None:
    """Put `text` in `path` with mode 0600, in one step: a reader sees the old content or the new.

    Args:
        path: the file; its folder must be there.
        text: all of its content.
        owner: whom to give it to; needs root. None: the user who runs us.

    Raises:
        OSError: as the operating system says; the old content is still there.
    """
    part = path.with_name(f".{path.name}.new")
    part.unlink(missing_ok=True)
    # O_EXCL and O_NOFOLLOW: whoever may write in this folder can't have us write through a link of theirs.
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(handle, owner.uid, owner.gid)
        file.write(text)
        file.flush()
        os.fsync(handle)
    part.replace(path)
    sync(path.parent)


def make_folder(path: Path, *, owner: Owner | None = None) -> None:
    """Make a folder that only its owner may enter, or make it so.

    Raises:
        OSError: as the operating system says.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
