"""The one place that asks what time it is."""

import time


def now_ms() -> int:
    """Return the time as Unix milliseconds, UTC."""
    return time.time_ns() // 1_000_000
