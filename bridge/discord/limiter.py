"""When the next request may be made: Discord's rate limits, kept before they are broken and obeyed once they are.

A pure object: no I/O, no sleep, an injected clock. It holds four things, all of which must have passed:

- per webhook and bucket: the window that the headers tell of (five in two seconds until they do);
- per channel: `channel_per_minute` in any 60 s, which Discord enforces but tells nobody of;
- pauses that a 429 has asked for: of a webhook, a channel, or everything;
- the circuit breaker: once Cloudflare answers in Discord's place, everything rests for minutes, longer each time.

Pauses outlive a restart: `pauses` gives them as Unix times, `restore` takes them back.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.discord.outcomes import MAX_WAIT_MS, Outcome, Posted, RateLimited, Scope

CHANNEL_WINDOW_MS = 60_000
CLOUDFLARE_PAUSE_MS = 5 * 60_000
CLOUDFLARE_MAX_PAUSE_MS = 60 * 60_000
_DEFAULT_LIMIT = 5
_DEFAULT_WINDOW_MS = 2_000
_NO_LIMIT = 1_000_000
_JITTER_MS = 500


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks, in milliseconds: one that never jumps, and Unix time for what is kept on disk."""

    monotonic_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


class PauseKind(StrEnum):
    """What rests."""

    WEBHOOK = "webhook"
    CHANNEL = "channel"
    GLOBAL = "global"
    CLOUDFLARE = "cloudflare"


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait that outlives a restart. `key` is a webhook's or a channel's key, empty for the other kinds."""

    kind: PauseKind
    key: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is asked: the method has a bucket of its own per webhook; only a POST counts for the channel."""

    webhook_id: str
    method: str = "POST"
    thread_id: str | None = None


@dataclass(slots=True)
class _Window:
    limit: int = _DEFAULT_LIMIT
    remaining: int = _DEFAULT_LIMIT
    ends_ms: int = 0
    length_ms: int = _DEFAULT_WINDOW_MS
    in_flight: int = 0


@dataclass(slots=True)
class _Channel:
    sends_ms: deque[int] = field(default_factory=deque[int])


class Limiter:
    """Says when, counts what is sent, and learns from the answers."""

    def __init__(
        self,
        *,
        channel_per_minute: int = 30,
        clock: Clock | None = None,
        random_unit: Callable[[], float] = random.random,
    ) -> None:
        if channel_per_minute < 1:
            raise ValueError("channel_per_minute must be at least 1")
        self._channel_limit = channel_per_minute
        self._clock = clock or Clock()
        self._random_unit = random_unit
        self._windows: dict[tuple[str, str], _Window] = {}
        self._buckets: dict[tuple[str, str], str] = {}
        self._channels: dict[str, _Channel] = {}
        self._channel_keys: dict[tuple[str, str | None], str] = {}
        self._pauses_ms: dict[tuple[PauseKind, str], int] = {}
        self._cloudflare_strikes = 0

    def wait_ms(self, route: Route) -> int:
        """Return how long this request has to wait; 0 when it may be made now."""
        now_ms = self._clock.monotonic_ms()
        free_ms = max(self._pause_ends_ms(route), self._window_free_ms(route, now_ms))
        if route.method == "POST":
            free_ms = max(free_ms, self._channel_free_ms(route, now_ms))
        return max(0, free_ms - now_ms)

    def take(self, route: Route) -> int:
        """Count this request as made and return 0, or count nothing and return the wait in ms.

        Whoever took must call `answered` whatever happens.
        """
        wait_ms = self.wait_ms(route)
        if wait_ms:
            return wait_ms
        window = self._window(route)
        now_ms = self._clock.monotonic_ms()
        if now_ms >= window.ends_ms:
            window.remaining, window.ends_ms = window.limit, now_ms + window.length_ms
        window.remaining -= 1
        window.in_flight += 1
        if route.method == "POST":
            self._channel(route).sends_ms.append(now_ms)
        return 0

    def answered(self, route: Route, outcome: Outcome | None, headers: Mapping[str, str]) -> None:
        """Learn from an answer; `outcome` is None, and `headers` empty, where none came."""
        window = self._window(route)
        window.in_flight = max(0, window.in_flight - 1)
        self._learn_window(self._learn_bucket(route, window, headers), headers)
        if isinstance(outcome, Posted) and "X-RateLimit-Limit" not in headers:
            window.limit = window.remaining = _NO_LIMIT  # a route whose answers name no limit has none
        match outcome:
            case RateLimited():
                self._pause(route, outcome)
            case Posted(channel_id=str(channel_id)):
                self._cloudflare_strikes = 0
                self.learn_channel(route, channel_id)
            case _:
                pass

    def learn_channel(self, route: Route, channel_id: str) -> None:
        """Note which channel a webhook (and thread) posts to: webhooks of one channel share its limit."""
        old_key = self._channel_key(route)
        if old_key == channel_id:
            return
        old = self._channels.pop(old_key, _Channel())
        new = self._channels.setdefault(channel_id, _Channel())
        new.sends_ms = deque(sorted([*new.sends_ms, *old.sends_ms]))
        self._channel_keys[route.webhook_id, route.thread_id] = channel_id
        rest_ms = self._pauses_ms.pop((PauseKind.CHANNEL, old_key), None)
        if rest_ms is not None:
            self._extend(PauseKind.CHANNEL, channel_id, rest_ms)

    def replay(self, route: Route, sent_at_ms: int) -> None:
        """Count a request that was made at a Unix time before the restart, oldest first."""
        ago_ms = self._clock.wall_ms() - sent_at_ms
        if 0 <= ago_ms < CHANNEL_WINDOW_MS:
            self._channel(route).sends_ms.append(self._clock.monotonic_ms() - ago_ms)

    def pauses(self) -> list[Pause]:
        """Return the pauses that are not over, to be kept on disk."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.wall_ms()
        return [
            Pause(kind, key, wall_ms + ends_ms - now_ms)
            for (kind, key), ends_ms in self._pauses_ms.items()
            if ends_ms > now_ms
        ]

    def restore(self, pauses: Iterable[Pause]) -> None:
        """Take back what `pauses` gave. A wall clock that jumped can't make one longer than an hour."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.wall_ms()
        for pause in pauses:
            rest_ms = min(pause.until_ms - wall_ms, CLOUDFLARE_MAX_PAUSE_MS)
            if rest_ms > 0:
                self._extend(pause.kind, pause.key, now_ms + rest_ms)

    def _learn_bucket(self, route: Route, window: _Window, headers: Mapping[str, str]) -> _Window:
        """Return the window of the bucket that the answer names: methods of one bucket share it."""
        bucket = headers.get("X-RateLimit-Bucket")
        key = route.webhook_id, route.method
        if bucket is None or self._buckets.get(key) == bucket:
            return window
        self._buckets[key] = bucket
        shared = self._windows.setdefault((route.webhook_id, bucket), window)
        if shared is not window:
            shared.in_flight += window.in_flight
        return shared

    def _learn_window(self, window: _Window, headers: Mapping[str, str]) -> None:
        limit = _number(headers.get("X-RateLimit-Limit"))
        remaining = _number(headers.get("X-RateLimit-Remaining"))
        reset_after_s = _number(headers.get("X-RateLimit-Reset-After"))
        if limit is None or remaining is None or reset_after_s is None:
            return
        # What is in flight may not be in the server's count yet: rather too few than a 429.
        window.limit = max(1, round(limit))
        window.remaining = max(0, round(remaining) - window.in_flight)
        reset_after_ms = min(round(reset_after_s * 1000), MAX_WAIT_MS)
        window.ends_ms = self._clock.monotonic_ms() + reset_after_ms
        window.length_ms = max(window.length_ms, reset_after_ms)

    def _pause(self, route: Route, limited: RateLimited) -> None:
        now_ms = self._clock.monotonic_ms()
        wait_ms = limited.retry_after_ms + round(_JITTER_MS * self._random_unit())
        match limited.scope:
            case Scope.GLOBAL:
                self._extend(PauseKind.GLOBAL, "", now_ms + wait_ms)
            case Scope.CLOUDFLARE:
                rest_ms = min(CLOUDFLARE_PAUSE_MS * 2**self._cloudflare_strikes, CLOUDFLARE_MAX_PAUSE_MS)
                self._cloudflare_strikes = min(self._cloudflare_strikes + 1, 8)
                self._extend(PauseKind.CLOUDFLARE, "", now_ms + max(wait_ms, rest_ms))
            case Scope.SHARED:
                self._extend(PauseKind.CHANNEL, self._channel_key(route), now_ms + wait_ms)
            case _ if limited.jumped:
                self._extend(PauseKind.CHANNEL, self._channel_key(route), now_ms + wait_ms)
            case _:
                self._extend(PauseKind.WEBHOOK, route.webhook_id, now_ms + wait_ms)

    def _extend(self, kind: PauseKind, key: str, until_ms: int) -> None:
        self._pauses_ms[kind, key] = max(until_ms, self._pauses_ms.get((kind, key), 0))

    def _pause_ends_ms(self, route: Route) -> int:
        keys = (
            (PauseKind.GLOBAL, ""),
            (PauseKind.CLOUDFLARE, ""),
            (PauseKind.WEBHOOK, route.webhook_id),
            (PauseKind.CHANNEL, self._channel_key(route)),
        )
        return max(self._pauses_ms.get(key, 0) for key in keys)

    def _window_free_ms(self, route: Route, now_ms: int) -> int:
        window = self._window(route)
        return window.ends_ms if window.remaining <= 0 and window.ends_ms > now_ms else 0

    def _channel_free_ms(self, route: Route, now_ms: int) -> int:
        sends_ms = self._channel(route).sends_ms
        while sends_ms and sends_ms[0] <= now_ms - CHANNEL_WINDOW_MS:
            sends_ms.popleft()
        if len(sends_ms) < self._channel_limit:
            return 0
        return sends_ms[len(sends_ms) - self._channel_limit] + CHANNEL_WINDOW_MS

    def _window(self, route: Route) -> _Window:
        bucket = self._buckets.get((route.webhook_id, route.method), route.method)
        return self._windows.setdefault((route.webhook_id, bucket), _Window())

    def _channel(self, route: Route) -> _Channel:
        return self._channels.setdefault(self._channel_key(route), _Channel())

    def _channel_key(self, route: Route) -> str:
        own = f"webhook {route.webhook_id} {route.thread_id or ''}".rstrip()
        return self._channel_keys.get((route.webhook_id, route.thread_id), own)


def _number(text: str | None) -> float | None:
    """Return a header's number when it is one that makes sense (finite, not negative)."""
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number <= MAX_WAIT_MS else None
