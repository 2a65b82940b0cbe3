"""Runs one case on MicroPython: `harness.py FIRMWARE HARDWARE LIBRARIES MODULE CASE ARGUMENT…`, in an empty folder.

Micropython-lib's unittest lets a coroutine pass without running it; this doesn't. A failure is an uncaught exception.
"""

import sys

_firmware, _hardware, _libraries, _module, _case = sys.argv[1:6]
_here = __file__.rsplit("/", 1)[0]
sys.path[:] = [_here, _hardware, _firmware, ".frozen", _libraries]


def _run():
    import asyncio

    done = getattr(__import__(_module), _case)(*sys.argv[6:])
    if hasattr(done, "send"):
        asyncio.run(asyncio.wait_for(done, 20))


_run()
print("PASSED")
