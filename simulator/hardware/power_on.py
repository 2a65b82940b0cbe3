"""Puts a virtual camera together and runs the firmware on it: `power_on.py FLASH HARDWARE LIBRARIES STATE`.

FLASH becomes the root of the camera's own file system, so that nothing of the host can be reached from it.
"""

import os
import sys

import vfs

_flash, _hardware, _libraries, _state = sys.argv[1:5]
sys.path[:] = [_hardware, ".frozen"]

import asyncio  # noqa: E402

import bench  # noqa: E402 - only now can it be found
from folder import Folder  # noqa: E402

vfs.umount("/")
vfs.mount(Folder(_flash), "/")
for _path, _at in ((_hardware, "/hardware"), (_libraries, "/libraries"), (_state, "/state")):
    vfs.mount(vfs.VfsPosix(_path), _at)
os.chdir("/")  # relative paths are the host's until then
sys.path[:] = ["/hardware", "", ".frozen", "/libraries"]
bench.start()
asyncio.ThreadSafeFlag = bench.Flag

import main  # noqa: E402, F401
