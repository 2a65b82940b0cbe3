"""Which photo may go next, and when.

Three lanes share one webhook. Live photos go at once, one after another, and past an answer that is slow. The backlog
goes in the order in which it was taken and is spaced, so that a third of the channel's limit is always left for live
ones. Edits go beside both. While Discord can't be reached nobody goes; while it fails, only live photos try.
"""

import asyncio
import time
from collections import defaultdict
from enum import StrEnum

from bridge.discord.limiter import Limiter, Route
from bridge.discord.outcomes import Outcome, RateLimited, Unknown, Unreachable
from bridge.tuning import Backoff, Tuning

_BACKLOG_SHARE = 2 / 3
_OUTAGE = 3


class Lane(StrEnum):
    """How urgent a delivery is, most urgent first."""

    LIVE = "live"
    BACKLOG = "backlog"
    EDIT = "edit"


class Lanes:
    """The traffic lights, and who is on the way."""

    def __init__(
        self, *, limiter: Limiter, webhook_id: str, thread_id: str | None, channel_per_minute: int, tuning: Tuning
    ) -> None:
        """The `limiter` is the one that the client obeys."""
        self._limiter = limiter
        self.post_route = Route(webhook_id=webhook_id, method="POST", thread_id=thread_id)
        self._edit_route = Route(webhook_id=webhook_id, method="PATCH", thread_id=thread_id)
        self._spacing_s = 60 / channel_per_minute / _BACKLOG_SHARE
        self._tuning = tuning
        self._under_way: defaultdict[Lane, dict[asyncio.Task[None], float]] = defaultdict(dict)
        self._unreachable = Backoff(first=tuning.retry_first_ms / 1000, most=tuning.unreachable_most_ms / 1000)
        self._failing = Backoff(first=tuning.retry_first_ms / 1000, most=tuning.retry_most_ms / 1000)
        self._any_at = 0.0
        self._backlog_at = 0.0

    def open_lanes(self) -> list[Lane]:
        """Return the lanes in which one more may start now, most urgent first."""
        now = time.monotonic()
        if now < self._any_at:
            return []
        lanes: list[Lane] = []
        if self._limiter.wait_ms(self.post_route) == 0:
            if self._has_room(now):
                lanes.append(Lane.LIVE)
            if now >= self._backlog_at and not self._under_way[Lane.BACKLOG]:
                lanes.append(Lane.BACKLOG)
        if not self._under_way[Lane.EDIT] and self._limiter.wait_ms(self._edit_route) == 0:
            lanes.append(Lane.EDIT)
        return lanes

    def opens_in_s(self) -> float:
        """Return how long it takes at most until a lane opens by time alone; short, when one may be open."""
        now = time.monotonic()
        post_s = self._limiter.wait_ms(self.post_route) / 1000
        waits = [self._any_at - now, post_s, max(post_s, self._backlog_at - now)]
        if self._under_way[Lane.LIVE]:
            waits.append(max(self._under_way[Lane.LIVE].values()) + self._tuning.lane_patience_s - now)
        return min((wait for wait in waits if wait > 0), default=self._tuning.poll_s)

    def enter(self, lane: Lane, task: asyncio.Task[None]) -> None:
        """Note who is on the way."""
        now = time.monotonic()
        self._under_way[lane][task] = now
        task.add_done_callback(lambda done: self._under_way[lane].pop(done, None))
        if lane is Lane.BACKLOG:
            self._backlog_at = max(self._backlog_at, now + self._spacing_s)

    def learn(self, lane: Lane, outcome: Outcome) -> bool:
        """Slow down, or not, by what came of an attempt; return whether it ended an outage.

        One photo that fails among others that don't is its own trouble; three failures in a row are Discord's. An edit
        that fails says nothing of posts: it pauses by itself.
        """
        now, failures = time.monotonic(), self._failing.failures
        match outcome:
            case Unreachable():
                self._any_at = max(self._any_at, now + self._unreachable.next())
            case Unknown() if lane is not Lane.EDIT:
                self._unreachable.reset()
                self._backlog_at = max(self._backlog_at, now + self._failing.next())
            case Unknown() | RateLimited():
                self._unreachable.reset()
            case _:
                self._unreachable.reset()
                self._failing.reset()
        return failures >= _OUTAGE and self._failing.failures == 0

    async def settle(self, within_s: float) -> None:
        """Wait for those on the way, but only so long; then give them up."""
        tasks = [task for lane in self._under_way.values() for task in lane]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _has_room(self, now: float) -> bool:
        live = self._under_way[Lane.LIVE]
        slow = all(now - started >= self._tuning.lane_patience_s for started in live.values())
        return slow and len(live) < self._tuning.lane_width
