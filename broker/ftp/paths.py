"""What a session sees: a virtual folder of its own, with nothing of the disk in it.

One of our cameras (`CameraRoot`) hands over `/<photo>.jpg` and reads below `/firmware/`. Any other camera that speaks
FTP (`ForeignRoot`) may name its files as it likes, make folders, and rename and delete what it has uploaded in this
session: all of it is make-believe, for what counts is that each JPEG becomes a photo.
"""

import hashlib
import posixpath
from pathlib import Path

from aperture import bundles
from aperture.contract.ids import is_photo_id
from broker.ftp.errors import RefusedError
from broker.ftp.uploads import Target

_LONGEST = 255
_MOST_NAMES = 1000


def absolute(cwd: str, path: str) -> str:
    """Return the virtual path that `path` means in the folder `cwd`; `..` ends at the root.

    Raises:
        RefusedError: it is longer than anybody needs, or has control characters in it.
    """
    full = posixpath.normpath(posixpath.join("/", cwd, path))
    if len(full) > _LONGEST or not full.isprintable():
        raise RefusedError(553, "This file name is too long, or has characters that no name needs.")
    return "/" + full.lstrip("/")


class Root:
    """What may be done with a virtual path; here, nothing."""

    def __init__(self, camera: str) -> None:
        """Serve one account."""
        self.camera = camera

    def target(self, path: str) -> Target:
        """Return what an upload to `path` is. Raises `RefusedError` (553) when nothing may be uploaded there."""
        raise RefusedError(553, f"{path} can't be uploaded.")

    def enter(self, path: str) -> None:
        """Allow the folder `path` to be the current one. Raises `RefusedError`."""
        if path != "/":
            raise RefusedError(550, "There is no such folder.")

    def firmware(self, path: str) -> Path:
        """Return the real file of a readable virtual one. Raises `RefusedError`."""
        raise RefusedError(550, f"{path} can't be read.")

    def list(self, path: str) -> None:
        """Allow the (always empty) list of a folder. Raises `RefusedError`."""
        del path
        raise RefusedError(550, "Files can't be listed here.")

    def make_folder(self, path: str) -> None:
        """Make a folder. Raises `RefusedError`."""
        raise RefusedError(550, f"{path}: folders can't be made here.")

    def remove_folder(self, path: str) -> None:
        """Remove a folder. Raises `RefusedError`."""
        raise RefusedError(550, f"{path}: folders can't be removed here.")

    def delete(self, path: str) -> None:
        """Forget a file. Raises `RefusedError`."""
        raise RefusedError(550, f"{path}: what was handed over can't be deleted over FTP.")

    def rename(self, old: str, new: str | None) -> None:
        """Rename a file, or, without `new`, allow it. Raises `RefusedError`."""
        del new
        raise RefusedError(550, f"{old}: nothing can be renamed here.")

    def uploaded(self, target: Target, length: int) -> None:
        """Remember an upload that was answered with 226."""

    def remembered(self, target: Target) -> int | None:
        """Return the length of an upload of this session."""
        del target


class CameraRoot(Root):
    """The root of one of our cameras."""

    def __init__(self, camera: str, firmware_dir: Path | None) -> None:
        """Serve one camera, with the files of `firmware_dir` if there is one."""
        super().__init__(camera)
        self._firmware = firmware_dir

    def target(self, path: str) -> Target:
        """See `Root.target`."""
        folder, name = posixpath.split(path)
        photo = name.removesuffix(".jpg")
        if folder != "/" or photo == name or not is_photo_id(photo):
            raise RefusedError(553, "A photo's file is named like its id: 26 of a-z and 2-7, then .jpg, in the root.")
        return Target(camera=self.camera, key=photo, photo=photo, name=None)

    def enter(self, path: str) -> None:
        """See `Root.enter`."""
        if path != "/firmware" or self._firmware is None:
            super().enter(path)

    def firmware(self, path: str) -> Path:
        """See `Root.firmware`. A link that leads out of the folder is not followed; `newest` is a bundle's folder."""
        inside = path.removeprefix("/firmware/")
        if self._firmware is None or inside == path:
            raise RefusedError(550, "Only files in /firmware can be read.")
        base = self._firmware.resolve()
        bundle, _, rest = inside.partition("/")
        if bundle == bundles.NEWEST and (found := bundles.every(base)):
            inside = f"{found[0].name}/{rest}"
        file = (base / inside).resolve()
        if not (file.is_relative_to(base) and file.is_file()):
            raise RefusedError(550, f"There is no {path}.")
        return file


class ForeignRoot(Root):
    """The root of a camera that only speaks FTP.

    A file becomes a photo when its 226 is given, under the name it then has: the rename from a temporary name that
    may follow changes nothing but what this session remembers.
    """

    def __init__(self, camera: str) -> None:
        """Serve one account, for one session."""
        super().__init__(camera)
        self._files: dict[str, int] = {}
        self._folders = {"/"}

    def target(self, path: str) -> Target:
        """See `Root.target`."""
        if path in self._folders:
            raise RefusedError(553, f"{path} is a folder.")
        key = "f-" + hashlib.sha256(path.encode()).hexdigest()[:32]
        return Target(camera=self.camera, key=key, photo=None, name=path.lstrip("/"))

    def enter(self, path: str) -> None:
        """See `Root.enter`: every folder is there, as a camera that finds none may not think of making it."""
        if path in self._files:
            raise RefusedError(550, f"{path} is a file.")

    def list(self, path: str) -> None:
        """See `Root.list`."""

    def make_folder(self, path: str) -> None:
        """See `Root.make_folder`."""
        self._room()
        self._folders.add(path)

    def remove_folder(self, path: str) -> None:
        """See `Root.remove_folder`."""
        self._folders -= {path} - {"/"}

    def delete(self, path: str) -> None:
        """See `Root.delete`: only what this session uploaded; a photo stays in the archive all the same."""
        if self._files.pop(path, None) is None:
            raise RefusedError(550, f"{path} was not uploaded in this session.")

    def rename(self, old: str, new: str | None) -> None:
        """See `Root.rename`."""
        if old not in self._files:
            raise RefusedError(550, f"{old} was not uploaded in this session.")
        if new is not None:
            self._files[new] = self._files.pop(old)

    def uploaded(self, target: Target, length: int) -> None:
        """See `Root.uploaded`."""
        if len(self._files) >= _MOST_NAMES:
            self._files.pop(next(iter(self._files)))
        self._files[f"/{target.name}"] = length

    def remembered(self, target: Target) -> int | None:
        """See `Root.remembered`."""
        return self._files.get(f"/{target.name}")

    def _room(self) -> None:
        if len(self._folders) >= _MOST_NAMES:
            raise RefusedError(550, "There are too many folders in this session.")
