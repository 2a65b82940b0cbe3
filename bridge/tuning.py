"""How long the bridge waits for what. The defaults are right for homes; tests shrink them, as nobody wants to wait."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Waits and bounds of one bridge."""

    poll_s: float = 0.25
    """How often the rows are looked at when no hint comes: what another process stored is found within this."""
    tick_s: float = 2.0
    """How often deadlines are looked at."""
    tidy_s: float = 3600.0
    """How often what is old is dropped."""
    event_days: int = 7
    """How long events are kept for readers that were away."""
    resend_after_ms: int = 60_000
    """The least time between two requests for the same photo's bytes."""
    reply_grace_ms: int = 5_000
    """How long after a command's end its reply may still be on the way."""

    lease_ms: int = 6_000
    """For how long a bridge is trusted to act without renewing its lease."""

    reconnect_first_s: float = 0.5
    reconnect_most_s: float = 30.0
    mqtt_timeout_s: float = 5.0

    retry_first_ms: int = 2_000
    """The pause after the first attempt that failed; each further one doubles it."""
    retry_most_ms: int = 600_000
    unreachable_most_ms: int = 30_000
    """The longest pause while Discord can't be reached at all: trying costs nothing then."""
    live_ms: int = 120_000
    """A photo that was taken this recently is live: it does not wait for older ones."""
    lane_patience_s: float = 3.0
    """How long an answer may take before the next live photo is sent beside it."""
    lane_width: int = 4
    """How many live photos may be on their way at once."""
    cool_s: float = 60.0
    """A connection that was idle this long is tried when a photo is announced, so that its bytes find it warm."""
    finish_s: float = 8.0
    """How long a post that is on its way may take to finish when the bridge ends."""


class Backoff:
    """Pauses that double up to a bound, each with jitter, so that many who failed together don't return together."""

    def __init__(self, *, first: float, most: float) -> None:
        """Pauses begin at `first` and end at `most`, in whatever unit the caller thinks."""
        self._first = first
        self._most = most
        self.failures = 0

    def reset(self) -> None:
        """It worked."""
        self.failures = 0

    def next(self) -> float:
        """It failed again: return the pause."""
        self.failures += 1
        return pause(self.failures, first=self._first, most=self._most)


def pause(failures: int, *, first: float, most: float) -> float:
    """Return the pause after the `failures`-th failure in a row: between half and all of the doubled one."""
    whole = min(most, first * 2 ** min(failures - 1, 32))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
