"""What MicroPython runs for `bench.heap`: `heap_on_camera.py FLASH HARDWARE LIBRARIES STATE FRAME`.

It prints one JSON object. The simulated hardware is loaded before anything is counted.
"""
# ruff: noqa: SLF001, PTH123, ARG001 - it looks into parts that nobody else may, and MicroPython has no pathlib
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import asyncio
import gc
import json
import os
import sys
import time

import vfs

_flash, _hardware, _libraries, _state, _picture = sys.argv[1:6]
_WITHIN_MS = 20_000
_REST_MS = 3_000  # at rest is what is measured


def _used():
    gc.collect()
    return gc.mem_alloc()


def _mount():
    vfs.umount("/")
    for path, at in ((_flash, "/"), (_hardware, "/hardware"), (_libraries, "/libraries"), (_state, "/state")):
        vfs.mount(vfs.VfsPosix(path), at)
    os.chdir("/")
    sys.path[:] = ["/a", "/hardware", ".frozen", "/libraries"]


with open(_picture, "rb") as _file:
    _frame = _file.read()
_mount()
for _name in ("camera", "esp32", "machine", "network", "socket"):  # a chip has them in its firmware
    __import__(_name)
_before = _used()

from aa.app import App  # noqa: E402 - it is what is measured

_imported = _used() - _before
_app = App()
_made = _used() - _before
_cameras = []


def _ask(self, word):
    """Hand over the frame that was there before anything was counted."""
    _cameras[:] = [self]
    return _frame


def _of_frames():
    """Return the bytes that a frame has: in the driver, which on a chip has RAM of its own, and in the copy of it."""
    rooms = _app.shooter._rooms + [one.room for one in _app.shooter._taken if one.room is not None]
    return sum(len(one._held or b"") for one in _cameras) + sum(len(room) for room in rooms)


async def _shoot():
    """Take a photo; return what was in use before it, and at the most, at any switch from task to task."""
    running = asyncio.create_task(_app.run())
    until = time.ticks_add(time.ticks_ms(), _WITHIN_MS)
    await asyncio.sleep_ms(_REST_MS)
    at_rest = _used() - _before - _of_frames()
    _app.shutter.press("button")
    most = at_rest
    while not len(_app.queue) or _app.shooter._taken:
        most = max(most, _used() - _before - _of_frames())
        if running.done() or time.ticks_diff(until, time.ticks_ms()) < 0:
            raise RuntimeError("no photo was taken")
        await asyncio.sleep_ms(0)
    return at_rest, most


sys.modules["camera"].Camera._ask = _ask
_rest, _most = asyncio.run(_shoot())
print(
    json.dumps(
        {
            "after imports": _imported,
            "app made": _made,
            "all parts run, offline": _rest,
            "peak during a photo, frame apart": _most,
        }
    )
)
