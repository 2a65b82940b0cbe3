"""The SD card of a virtual camera: a folder of the host that can be pulled out, also in the middle of a file.

"card out" pulls it, "card out BYTES" once so many more bytes were read or written, "card in" puts it back: as with a
real one, that helps from the next start on. A card that is out answers EIO to everything.
"""

import io
import os

import bench
from folder import Folder

_EIO = 5
_ENODEV = 19
_OUT = "/state/card_out"  # it was pulled, in this run or before

_left = None  # bytes until it goes


async def _change(state, after_bytes=0):
    global _left
    _left = None
    if state == "in":
        _put_back()
    elif not _is_out():
        _left = int(after_bytes)


def _is_out():
    try:
        os.stat(_OUT)
    except OSError:
        return False
    return True


def _pull():
    with open(_OUT, "w"):
        pass


def _put_back():
    if _is_out():
        os.remove(_OUT)


class Card(Folder):
    """The card that is there at the start of a run, or none.

    Raises:
        OSError: there is none.
    """

    def __init__(self):
        path = os.getenv("APERTURE_CARD")
        bench.on("card", _change)
        if not path or _is_out():
            raise OSError(_ENODEV)
        super().__init__(path)
        self._pulled = False

    def use(self, count=0):
        """Count bytes that pass, and fail when the card is out."""
        global _left
        if _left is not None:
            _left -= count
            if _left <= 0:
                _left, self._pulled = None, True
                _pull()
        if self._pulled:
            raise OSError(_EIO)

    def __getattr__(self, name):
        return lambda *args: self._call(name, args)

    def _call(self, name, args):
        if name not in ("mount", "umount"):
            self.use()
        return getattr(self._files, name)(*args)

    def open(self, path, mode):
        """Open a file that fails with the card."""
        self.use()
        return _File(self, self._files.open(path, mode))

    def rename(self, old, new):
        """Rename a file; an existing one is replaced."""
        self.use()
        super().rename(old, new)


class _File(io.IOBase):
    """An open file on the card."""

    def __init__(self, card, file):
        self._card = card
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()

    def read(self, *count):
        data = self._file.read(*count)
        self._card.use(len(data))
        return data

    def readinto(self, buffer):
        count = self._file.readinto(buffer)
        self._card.use(count or 0)
        return count

    def readline(self):
        return self.read()

    def write(self, data):
        self._card.use(len(data))
        return self._file.write(data)

    def seek(self, *where):
        self._card.use()
        return self._file.seek(*where)

    def tell(self):
        return self._file.tell()

    def flush(self):
        self._card.use()
        self._file.flush()
