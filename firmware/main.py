"""What the camera runs when it gets power. A camera that can't start says why, and tries again."""

import asyncio
import time

import machine

from aa import log
from aa.app import App

_AGAIN_MS = 10_000


def main():
    """Run the camera; a start that fails is tried again by a reset."""
    try:
        asyncio.run(App().run())
    except Exception as cause:
        log.error("camera does not start", cause)
        time.sleep_ms(_AGAIN_MS)
        machine.reset()


main()
