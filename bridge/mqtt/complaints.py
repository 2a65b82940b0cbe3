"""Logging about strangers: bounded, so that one who talks nonsense can't fill the disk with our complaints."""

import time

import structlog

log = structlog.get_logger(__name__)

_MOST_A_MINUTE = 5
_MOST_SOURCES = 256


class Complaints:
    """At most five lines a minute and source, and then how many were left out."""

    def __init__(self) -> None:
        """Nobody has given cause yet."""
        self._said: dict[str, int] = {}
        self._since_s = time.monotonic()
        self._broke: set[str] = set()

    def broke(self, source: str, error: Exception) -> None:
        """Log that a message of `source` broke us: where in the code only the first time."""
        if source in self._broke or len(self._broke) >= _MOST_SOURCES:
            self.about(source, f"it broke us: {type(error).__name__}: {error}")
            return
        self._broke.add(source)
        log.error("a message could not be taken", source=source, exc_info=error)

    def about(self, source: str, reason: str) -> None:
        """Log that something of `source` was dropped."""
        if time.monotonic() - self._since_s > 60:  # noqa: PLR2004 - a minute
            self._sum_up()
        key = source if source in self._said or len(self._said) < _MOST_SOURCES else "others"
        self._said[key] = self._said.get(key, 0) + 1
        if self._said[key] <= _MOST_A_MINUTE:
            log.warning("message dropped", source=source, reason=reason[:300])

    def _sum_up(self) -> None:
        left_out = {source: count - _MOST_A_MINUTE for source, count in self._said.items() if count > _MOST_A_MINUTE}
        if left_out:
            log.warning("more messages dropped", left_out=dict(list(left_out.items())[:10]), sources=len(left_out))
        self._said.clear()
        self._since_s = time.monotonic()
