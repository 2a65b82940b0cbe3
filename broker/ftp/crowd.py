"""How many upload at the same time, and how long a batch should wait for company because of that."""

import time

_LATELY_S = 0.25
_FEW = 4
_PAUSE_PER_SESSION_S = 0.0004
_LONGEST_PAUSE_S = 0.02


class Crowd:
    """Counts the sessions whose uploads ended lately. Noted in the event loop, asked for in the commit thread.

    A batch costs some milliseconds whatever its size, in which the loop gets little done. A camera that is alone never
    waits; of many, each waits a little, and all are done sooner.
    """

    def __init__(self) -> None:
        """Nobody was there lately."""
        self._seen: dict[int, float] = {}

    def note(self, session: int) -> None:
        """An upload of this session has ended."""
        self._seen[session] = time.monotonic()

    def pause_s(self) -> float:
        """Return how long the next batch should wait."""
        since = time.monotonic() - _LATELY_S
        for session, at in list(self._seen.items()):
            if at < since:
                self._seen.pop(session, None)
        size = len(self._seen)
        return 0.0 if size < _FEW else min(size * _PAUSE_PER_SESSION_S, _LONGEST_PAUSE_S)
