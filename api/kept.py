"""An answer that is dear to make, kept for a moment: however many ask, it is made once at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Keeps the last answer."""

    def __init__(self, *, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep an answer for `keep_s` seconds."""
        self._keep_s = keep_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._answer: tuple[float, T] | None = None

    async def get(self, make: Callable[[], Awaitable[T]]) -> T:
        """Return the answer, from `make` when there is none that is young enough. What `make` raises is not kept."""
        async with self._lock:
            if self._answer is None or self._answer[0] <= self._clock():
                answer = await make()
                self._answer = (self._clock() + self._keep_s, answer)
            return self._answer[1]
