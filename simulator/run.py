"""`aperture simulate`: a virtual camera with your keyboard as its shutter."""

import asyncio
import sys

import structlog

from simulator.camera import VirtualCamera

log = structlog.get_logger(__name__)


async def simulate(camera: VirtualCamera) -> None:
    """Run a camera until `q` and Enter, the end of input, or cancellation; Enter alone presses its shutter.

    Without a terminal on standard input it just runs.

    Raises:
        NotAvailableError: this machine has no MicroPython.
        LibraryError: a MicroPython library could not be fetched.
        FramesError: the folder of frames is empty.
    """
    async with camera:
        if not sys.stdin.isatty():
            await asyncio.Event().wait()
        log.info("virtual camera ready", camera=camera.name, keys="Enter: press the shutter, q and Enter: quit")
        await _follow_keyboard(camera)


async def _follow_keyboard(camera: VirtualCamera) -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    descriptor = sys.stdin.fileno()
    loop.add_reader(descriptor, lambda: lines.put_nowait(sys.stdin.readline()))
    try:
        while (line := await lines.get()) and line.strip().lower() != "q":
            await camera.press()
    finally:
        loop.remove_reader(descriptor)
