"""A card or flash in RAM whose power can be cut after each write: real FAT, real LittleFS, on blocks that we keep.

What was never written is not empty: a used card is full of what was deleted from it.
"""

import random

import vfs

_BLOCK = 512
_LFS_BLOCK = 4096
_ZERO = bytes(_BLOCK)
_BLOCKS = {"fat12": 2_048, "fat16": 65_536, "fat32": 5_000_000, "littlefs": 1_024}


class Medium:
    """A block device. `written` has what was written since `keep`, write by write; `reads` counts blocks."""

    stale = bytes([0xE9, 0x83, 0x41, 0x2D] * 128)

    def __init__(self, kind, blocks=None, stale_from=0):
        self._kind = kind
        self._size = _LFS_BLOCK if kind == "littlefs" else _BLOCK
        self._system = vfs.VfsLfs2 if kind == "littlefs" else vfs.VfsFat
        self._blocks = {} if blocks is None else dict(blocks)
        self._stale_from = stale_from
        self.reads = 0
        self.keep()

    def format(self):
        """Make an empty file system on it."""
        self._system.mkfs(self)
        self._stale_from = max(self._blocks) + 1
        for number in [number for number, data in self._blocks.items() if data == _ZERO]:
            del self._blocks[number]
        self.keep()
        return self

    def mount(self, path):
        """Mount it there, in place of what is there."""
        try:
            vfs.umount(path)
        except OSError:
            pass
        vfs.mount(self._system(self), path)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def keep(self):
        """From here on it can be cut."""
        self._kept = dict(self._blocks)
        self.written = []

    def cuts(self, every=1, seed=0):
        """Yield (number, medium) for about one in `every` moments between two writes; always the first and the last."""
        random.seed(seed)
        image = dict(self._kept)
        for number in range(len(self.written) + 1):
            if number in (0, len(self.written)) or random.randint(1, every) == 1:
                yield number, Medium(self._kind, image, self._stale_from)
            if number < len(self.written):
                image.update(self.written[number])

    def _block(self, number):
        return self._blocks.get(number, _ZERO if number < self._stale_from else self.stale)

    def readblocks(self, block, buffer, offset=0):
        """As MicroPython asks for it."""
        done = 0
        while done < len(buffer):
            number, start = divmod(block * self._size + offset + done, _BLOCK)
            part = self._block(number)[start : start + len(buffer) - done]
            buffer[done : done + len(part)] = part
            done += len(part)
            self.reads += 1

    def writeblocks(self, block, buffer, offset=0):
        """As MicroPython asks for it. A card may lose its power within this, between any two blocks."""
        at, data, done = block * self._size + offset, bytes(buffer), 0
        while done < len(data):
            number, start = divmod(at + done, _BLOCK)
            part = data[done : done + _BLOCK - start]
            old = self._block(number)
            self._blocks[number] = old[:start] + part + old[start + len(part) :]
            self.written.append({number: self._blocks[number]})
            done += len(part)

    def ioctl(self, asked, argument):
        """Tell the number of blocks (4) and their size (5), or erase one (6)."""
        if asked == 6:
            self.writeblocks(argument, b"\xff" * self._size)
        return {4: _BLOCKS[self._kind] * _BLOCK // self._size, 5: self._size}.get(asked, 0)
