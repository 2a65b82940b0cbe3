"""Keeps the parts of the camera running: a bug in one must not stop the shutter, and one that hangs is reset.

The watchdog is fed only while every part keeps what it promised with its `pulse`. A part that spins in a loop of its
own is found out by that; one that blocks the chip keeps this loop from feeding.
"""

import asyncio
import time

from aa import log
from aa.backoff import Backoff

_FEED_MS = 1_000
_STOOD_STILL_MS = 5_000


class Supervisor:
    """Runs parts, triples of (name, coroutine function, pulse or None); `board` has the watchdog."""

    def __init__(self, board, feed_ms=_FEED_MS):
        self._board = board
        self._feed_ms = feed_ms

    async def run(self, parts):
        """Run until all parts have returned, which is when the camera sleeps or reboots."""
        tasks = [asyncio.create_task(self._keep(*part)) for part in parts]
        pulses = [(name, pulse) for name, _, pulse in parts if pulse is not None]
        self._board.start_watchdog()
        stuck = looked = None
        while not all(task.done() for task in tasks):
            looked = self._forgive(pulses, looked)
            late = [name for name, pulse in pulses if pulse.is_late()]
            if not late:
                self._board.feed_watchdog()
            elif late != stuck:
                log.error("parts hang: the watchdog is not fed", parts=" ".join(late))
            stuck = late
            await asyncio.sleep_ms(self._feed_ms)

    def _forgive(self, pulses, looked):
        """After light sleep, or a long write to the card, nobody could keep a promise. Returns the ticks of now."""
        now = time.ticks_ms()
        gap = 0 if looked is None else time.ticks_diff(now, looked) - self._feed_ms
        if gap > _STOOD_STILL_MS:
            for _, pulse in pulses:
                pulse.grant(gap)
        return now

    async def _keep(self, name, part, pulse):
        """Start a part again when it fails."""
        pauses = Backoff(1_000, 60_000)
        while True:
            try:
                await part()
                return
            except Exception as cause:
                log.error("part failed", cause, part=name)
            finally:
                if pulse is not None:
                    pulse.rest()
            await asyncio.sleep_ms(pauses.next_ms())
