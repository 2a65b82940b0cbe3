"""Log lines that anybody on the network can cause: a few a second, so that nobody fills the disk with them."""

import time


class Ration:
    """So many lines a second."""

    def __init__(self, *, per_s: int) -> None:
        """Allow `per_s` of them."""
        self._per_s = per_s
        self._second = 0
        self._said = 0
        self._unsaid = 0

    def allows(self) -> bool:
        """Whether one more line may be said now; else it is counted."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._said = second, 0
        self._said += 1
        if self._said <= self._per_s:
            return True
        self._unsaid += 1
        return False

    def take_unsaid(self) -> int:
        """Return how many were not said since the last call."""
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid
