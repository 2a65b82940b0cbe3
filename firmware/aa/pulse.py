"""What each part promises the watchdog: to have got somewhere within a time that it says in advance."""

import time


class Pulse:
    """One part's promise. A part that waits for what may never come rests; it is not late then, however long."""

    def __init__(self):
        self._until = None

    def within(self, ms):
        """Something will have come of it in `ms`, or it hangs."""
        self._until = time.ticks_add(time.ticks_ms(), ms)

    def rest(self):
        """It waits for someone else: a press, a network, a photo."""
        self._until = None

    def grant(self, ms):
        """The whole chip stood still for so long: that is nobody's fault."""
        if self._until is not None:
            self._until = time.ticks_add(self._until, ms)

    def is_late(self):
        """Whether its promise is broken."""
        return self._until is not None and time.ticks_diff(time.ticks_ms(), self._until) > 0
