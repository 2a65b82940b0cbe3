"""Keeps the parts of the camera running: a bug in one must not stop the shutter, and a hang of all is reset."""

import asyncio

from aa import log

_RESTART_MS = 1_000
_FEED_MS = 1_000


class Supervisor:
    """Runs parts, pairs of (name, coroutine function); `board` has the watchdog."""

    def __init__(self, board):
        self._board = board

    async def run(self, parts):
        """Run until all parts have returned, which is when the camera sleeps or reboots."""
        tasks = [asyncio.create_task(self._keep(name, part)) for name, part in parts]
        self._board.start_watchdog()
        while not all(task.done() for task in tasks):
            self._board.feed_watchdog()
            await asyncio.sleep_ms(_FEED_MS)

    async def _keep(self, name, part):
        """Start a part again when it fails."""
        while True:
            try:
                await part()
                return
            except Exception as cause:
                log.error("part failed", cause, part=name)
            await asyncio.sleep_ms(_RESTART_MS)
