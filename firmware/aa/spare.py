"""The slot that does not run, while an update fills it: bundle.json is written last, and makes it whole."""

import asyncio
import os

from aa import files
from aa.bundle import Hash

_SEAL = "bundle.json"
_FOLDER = 0x4000
_BLOCK_BYTES = 4096  # what a file takes at least, on flash
_SPARE_KB = 64  # for what else is written: folders, settings, photos that find no card
_PIECE_BYTES = 2048


class Spare:
    """The slot at `root`, for example "/b"."""

    def __init__(self, root):
        self._root = root

    async def empty_but(self, wanted):
        """Remove everything but whole files of `wanted`, dicts of path, bytes, sha256. Returns those that are missing.

        What an interrupted update had fetched is not fetched again.
        """
        files.make_folder(self._root)
        files.remove(self._path(_SEAL))
        files.sync()
        by_path = {one["path"]: one for one in wanted}
        for path in list(_walk(self._root)):
            one = by_path.get(path)
            if one is None or not await self.holds(one):
                files.remove(self._path(path))
            else:
                del by_path[path]
        return [one for one in wanted if one["path"] in by_path]

    def room_kb(self, missing):
        """Return how many KiB must be made free for these files; 0 when they fit."""
        free_kb = files.free_kb(self._root)
        blocks = sum(one["bytes"] // _BLOCK_BYTES + 1 for one in missing)
        return 0 if free_kb is None else max(0, blocks * _BLOCK_BYTES // 1024 + _SPARE_KB - free_kb)

    def create(self, one):
        """Open a file of a bundle for writing."""
        folder = self._root
        for name in one["path"].split("/")[:-1]:
            folder += "/" + name
            files.make_folder(folder)
        return open(self._path(one["path"]), "wb")

    async def holds(self, one):
        """Whether the file is there as it should be, read back from the flash."""
        digest = Hash()
        piece = bytearray(_PIECE_BYTES)
        try:
            with open(self._path(one["path"]), "rb") as file:
                while True:
                    count = file.readinto(piece)
                    if not count:
                        return digest.is_of(one)
                    digest.update(memoryview(piece)[:count])
                    await asyncio.sleep_ms(0)
        except OSError:
            return False

    def seal(self, data):
        """Write bundle.json: the slot is whole."""
        files.sync()
        files.write_whole(self._path(_SEAL), data)

    def _path(self, inside):
        return self._root + "/" + inside


def _walk(folder, inside=""):
    """Give the paths of all files below `folder`, relative to it."""
    for entry in os.ilistdir(folder):
        if entry[1] == _FOLDER:
            yield from _walk(folder + "/" + entry[0], inside + entry[0] + "/")
        else:
            yield inside + entry[0]
