"""What the links to the servers have in common: they come back for ever, after a pause that fits what went wrong.

`mqtt` and `uploader` are links. Each has a `state`, a `trouble` in words for the display (`troubles`), and a `pulse`
for the watchdog.
"""

import asyncio
import time

from aa import log, troubles
from aa.backoff import Backoff
from aa.net import Lost
from aa.pulse import Pulse

DOWN, CONNECTING, UP, REFUSED = "down", "connecting", "up", "refused"
REFUSED_MS = (10_000, 300_000)  # the first pause, and the longest, while it is refused
_STEADY_MS = 3_000
_LATE_MS = 15_000
_ENDS = (OSError, EOFError, Lost, asyncio.TimeoutError)


class Link:
    """One link. `changed()` is called when there is something new to show, `heard()` when the server has spoken."""

    def __init__(self, name):
        self.name = name
        self.state = DOWN
        self.trouble = None
        self.lasting = None  # a trouble that a good connection does not end
        self.pulse = Pulse()
        self.changed = lambda: None
        self.heard = lambda: None
        self._retry = asyncio.Event()
        self._session = self._dropped = self._up_ticks = self._said = None
        self._good = False
        self._ending = False  # we end it ourselves: that is no trouble

    def become(self, state):
        """Take a new state, and tell who shows it."""
        self.state = state
        self.changed()

    def be_up(self):
        """The server takes us: all that was wrong with the way to it is over."""
        self.trouble = self.lasting
        self._retry.clear()
        self._up_ticks = time.ticks_ms()
        self.become(UP)
        self.heard()

    def did_well(self):
        """Something was achieved: whatever ends this connection, it was worth making."""
        self._good = True
        self.trouble = self.lasting
        self.heard()

    def drop(self, why):
        """Give the connection up at once, and make a new one as soon as there is a network."""
        self._dropped = why
        self._ending = True
        self._retry.set()
        if self._session is not None:
            self._session.cancel()

    def hurry(self):
        """Someone waits: this pause between two tries is over, or the next one, unless the server refuses us."""
        if self.state in (DOWN, CONNECTING):
            self._retry.set()

    async def keep_up(self, ready, session):
        """Work for ever: `ready()` is awaited before each try, `session()` runs for as long as the connection."""
        pauses, long_pauses = Backoff(), Backoff(*REFUSED_MS)
        while True:
            self.pulse.rest()
            await ready()
            self._dropped = self._up_ticks = None
            self._ending = self._good = False
            self.become(CONNECTING)
            cause = await self._run(session)
            if self._good or self._was_steady():
                pauses.reset()
                long_pauses.reset()
                self._said = None
            await self._pause(self._down(cause, pauses, long_pauses))

    def _was_steady(self):
        return self._up_ticks is not None and time.ticks_diff(time.ticks_ms(), self._up_ticks) > _STEADY_MS

    def _down(self, cause, pauses, long_pauses):
        """Take note of why it ended. Returns for how long to wait."""
        refused = troubles.is_last_word(cause)
        if not self._ending:
            self.trouble = troubles.of_link(cause)
            self._say(log.words(cause))
        if refused:
            self._retry.clear()
            self.become(REFUSED)
        return (long_pauses if refused else pauses).next_ms()

    def _say(self, why):
        if self._said != why:
            self._said = why
            log.warning(self.name + " down", why=why)

    async def _run(self, session):
        """Run a session to its end. Returns why it ended."""
        self._session = asyncio.create_task(session())
        try:
            await self._session
        except asyncio.CancelledError:
            if self._dropped is None:
                raise  # not the connection, but this part of the camera is to end
            return Lost(self._dropped)
        except _ENDS as cause:
            return cause
        finally:
            self._session = None
            self.become(DOWN)
        return Lost("closed")

    async def _pause(self, pause_ms):
        self.pulse.within(pause_ms + _LATE_MS)
        try:
            await asyncio.wait_for_ms(self._retry.wait(), pause_ms)
        except asyncio.TimeoutError:
            pass
        self._retry.clear()
