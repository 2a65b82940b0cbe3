"""Runs one case on MicroPython, in an empty folder.

`harness.py FIRMWARE HARDWARE LIBRARIES TIMEOUT_S MODULE CASE ARGUMENT…`. Micropython-lib's unittest lets a coroutine
pass without running it; this doesn't. A failure is an uncaught exception.
"""

import sys

_firmware, _hardware, _libraries, _timeout_s, _module, _case = sys.argv[1:7]
_here = __file__.rsplit("/", 1)[0]
sys.path[:] = [_here, _hardware, _firmware, ".frozen", _libraries]


def _run():
    import asyncio

    done = getattr(__import__(_module), _case)(*sys.argv[7:])
    if hasattr(done, "send"):
        asyncio.run(asyncio.wait_for(done, int(_timeout_s)))


_run()
print("PASSED")
