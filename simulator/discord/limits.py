"""How often one may ask: Discord's rate limits, those in the headers and those that are only felt.

In the headers: a fixed window per webhook and route. Not in them, but traced by users and staff: 30 in 60 s per
channel, whose 429 comes in spite of Remaining > 0.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.discord.refusals import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests and their windows; 0 requests switch that limit off."""

    webhook_requests: int = 5
    webhook_window_ms: int = 2_000
    channel_requests: int = 30
    channel_window_ms: int = 60_000
    global_requests: int = 50
    global_window_ms: int = 1_000


UNLIMITED = Limits(webhook_requests=0, channel_requests=0, global_requests=0)


@dataclass(slots=True)
class _Window:
    ends_ms: int = 0
    used: int = 0


class RateLimiter:
    """Counts requests and says no. `clock_ms` is monotonic."""

    def __init__(self, limits: Limits, *, clock_ms: Callable[[], int], wall_ms: Callable[[], int]) -> None:
        self.limits = limits
        self._clock_ms = clock_ms
        self._wall_ms = wall_ms
        self._buckets: dict[str, _Window] = {}
        self._channels: dict[str, deque[int]] = {}
        self._all: deque[int] = deque()

    def take(self, *, route: str, webhook_id: str, channel_id: str | None) -> dict[str, str]:
        """Count one request and return the headers of its answer.

        Args:
            route: the method, for each has a bucket of its own.
            webhook_id: the major parameter.
            channel_id: where a message is posted; None where nothing is.

        Raises:
            Refusal: 429, with the wait.
        """
        now_ms = self._clock_ms()
        headers = self._take_bucket(route, webhook_id, now_ms)
        limits = self.limits
        self._take_sliding(self._all, limits.global_requests, limits.global_window_ms, "global", headers)
        if channel_id is not None:
            sends = self._channels.setdefault(channel_id, deque())
            self._take_sliding(sends, limits.channel_requests, limits.channel_window_ms, "shared", headers)
        return headers

    def _take_bucket(self, route: str, webhook_id: str, now_ms: int) -> dict[str, str]:
        limit, window_ms = self.limits.webhook_requests, self.limits.webhook_window_ms
        if not limit:
            return {}
        bucket = self._buckets.setdefault(f"{route} {webhook_id}", _Window())
        if now_ms >= bucket.ends_ms:
            bucket.ends_ms, bucket.used = now_ms + window_ms, 0
        left_ms = bucket.ends_ms - now_ms
        allowed = bucket.used < limit
        bucket.used += allowed
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - bucket.used),
            "X-RateLimit-Reset": f"{(self._wall_ms() + left_ms) / 1000:.3f}",
            "X-RateLimit-Reset-After": f"{left_ms / 1000:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(f"webhook {route}".encode()).hexdigest()[:32],
        }
        if not allowed:
            raise rate_limited(left_ms, "user", headers)
        return headers

    def _take_sliding(self, sends: deque[int], limit: int, window_ms: int, scope: str, headers: dict[str, str]) -> None:
        if not limit:
            return
        now_ms = self._clock_ms()
        while sends and sends[0] <= now_ms - window_ms:
            sends.popleft()
        if len(sends) >= limit:
            raise rate_limited(sends[0] + window_ms - now_ms, scope, headers)
        sends.append(now_ms)


def rate_limited(retry_after_ms: int, scope: str, headers: dict[str, str] | None = None) -> Refusal:
    """Return Discord's 429: `Retry-After` in whole seconds, `retry_after` in the body exact."""
    is_global = scope == "global"
    said = {
        **(headers or {}),
        "Retry-After": str(-(-retry_after_ms // 1000)),
        "X-RateLimit-Scope": scope,
        **({"X-RateLimit-Global": "true"} if is_global else {}),
    }
    extra = {"retry_after": retry_after_ms / 1000, "global": is_global}
    refusal = Refusal(429, 0, "You are being rate limited.", headers=said, extra=extra)
    del refusal.body["code"]
    return refusal
