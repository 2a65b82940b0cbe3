"""Starts a bare board as a chip does: `chip_on.py FLASH HARDWARE LIBRARIES STATE FLASH_KB MAIN`.

FLASH is a folder, or, with FLASH_KB, a file with a littlefs of that size, as an ESP32 has. MAIN is "main" when
/main.py is to run. Then there is MicroPython's prompt, unless the firmware has asked for a reset or for deep sleep.
"""

import os
import sys

import vfs

_flash, _hardware, _libraries, _state, _flash_kb, _main = sys.argv[1:7]
_BLOCK = 4096


class BlockFile:
    """The flash chip's blocks in a file of the host."""

    def __init__(self, path, size_kb):
        self._count = size_kb * 1024 // _BLOCK
        self._file = open(path, "r+b")

    def readblocks(self, block, buf, offset=0):
        """Read into `buf`."""
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        """Write `buf`."""
        self._file.seek(block * _BLOCK + offset)
        self._file.write(buf)
        self._file.flush()

    def ioctl(self, op, arg):
        """Count and size of blocks; the rest is done."""
        return {4: self._count, 5: _BLOCK}.get(op, 0)


def _open_flash():
    if _flash_kb == "0":
        return Folder(_flash)
    blocks = BlockFile(_flash, int(_flash_kb))
    try:
        return vfs.VfsLfs2(blocks)
    except OSError:  # a new chip
        vfs.VfsLfs2.mkfs(blocks)
        return vfs.VfsLfs2(blocks)


print("rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)")
os.putenv("MICROPYINSPECT", "1")  # the prompt, at the end of this
sys.path[:] = [_hardware, ".frozen"]

import bench  # noqa: E402 - only now can it be found
from folder import Folder  # noqa: E402

_root = _open_flash()
vfs.umount("/")
vfs.mount(_root, "/")
# What an ESP32's image has frozen in: umqtt.simple is, ssd1306 is not.
for _path, _at in ((_hardware, "/hardware"), (_libraries + "/umqtt", "/image/umqtt"), (_state, "/state")):
    vfs.mount(vfs.VfsPosix(_path), _at)
os.chdir("/")
sys.path[:] = ["/hardware", "", ".frozen", "/image", "/lib"]
bench.start()

if _main == "main" and "main.py" in os.listdir("/"):
    print("boot: main.py")
    try:
        import main  # noqa: F401
    except SystemExit:
        os.unsetenv("MICROPYINSPECT")
        raise
