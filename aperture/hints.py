"""Wake-ups inside one process. A hint may be lost or come for nothing: the rows are the truth, polling finds them."""

import asyncio
import contextlib
from typing import Self


class Hints:
    """Wakes everyone who waits, from any thread."""

    def __init__(self) -> None:
        """Nobody waits yet; the event loop is that of the first who does."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Wake all waiters; callable from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def listen(self) -> "Listener":
        """Return a listener of one's own; it remembers a hint that came while its owner was busy."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.add(event)
        return Listener(event, self._waiting)

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()


class Listener:
    """One waiter's end. Use it as a context manager, so that it is forgotten afterwards."""

    def __init__(self, event: asyncio.Event, waiting: set[asyncio.Event]) -> None:
        """Made by `Hints.listen`."""
        self._event = event
        self._waiting = waiting

    async def wait(self, timeout_s: float) -> bool:
        """Return at the next hint, or after the time (False): then look at the rows."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.discard(self._event)
