"""How long to wait before trying again: longer each time, and jittered so that cameras don't come back in step."""

import os


class Backoff:
    """Waits of `first_ms`, doubling up to `most_ms`, each shortened by up to half at random."""

    def __init__(self, first_ms=500, most_ms=30_000):
        self._first_ms = first_ms
        self._most_ms = most_ms
        self._next_ms = first_ms

    def next_ms(self):
        """Return the next wait in ms."""
        whole = self._next_ms
        self._next_ms = min(whole * 2, self._most_ms)
        return whole - whole * os.urandom(1)[0] // 512

    def reset(self):
        """It worked: start again with the shortest."""
        self._next_ms = self._first_ms
