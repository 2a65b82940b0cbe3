"""The newest events, read from the store once for everyone who waits for them: live streams and waiting requests.

Hints only make it quick. The rows are the truth: each reader goes on from the id that it has, out of memory while that
reaches back far enough, out of the store when it does not, so that nobody ever skips a row.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from aperture.hints import Hints
from aperture.store import events
from aperture.store.database import Database
from aperture.store.errors import StoreError
from aperture.store.events import Event

log = structlog.get_logger(__name__)

_KEPT = 1000
_PAGE = 500
_RETRY_S = 1.0


class Feed:
    """Reads events while anyone listens."""

    def __init__(self, *, database: Database, hints: Hints, poll_s: float = 0.25) -> None:
        """Look for new rows at each hint, and every `poll_s` seconds in case one was lost."""
        self._database = database
        self._hints = hints
        self._poll_s = poll_s
        self._readers = 0
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._kept: deque[Event] = deque()
        self._floor = 0  # every event after this one, up to `_last`, is in `_kept`
        self._last = 0
        self._news = asyncio.Event()
        self.closing = False
        """Whether the server is shutting down: whoever waits should end."""

    @property
    def readers(self) -> int:
        """How many listen now."""
        return self._readers

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[int]:
        """Keep the feed running, and yield the id of the newest event.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        self._readers += 1
        try:
            async with self._starting:
                if self._task is None:
                    await self._start()
            yield self._last
        finally:
            self._readers -= 1
            if self._readers == 0:
                self._stop()

    async def after(self, event_id: int, *, timeout_s: float) -> list[Event]:
        """Return some events after an id, oldest first, as soon as there are any; none at the end of the time.

        Raises:
            StoreUnavailableError: they have to come from the database, and it does not answer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self.closing:
                    news = self._news
                    if event_id < self._floor:
                        if found := await self._database.aread(partial(events.after, event_id=event_id, limit=_PAGE)):
                            return found
                        event_id = self._floor  # what lay between was dropped for good
                    if event_id < self._last:
                        return [event for event in self._kept if event.id > event_id]
                    await news.wait()
        except TimeoutError:
            pass
        return []

    def close(self) -> None:
        """Let all who wait end now."""
        self.closing = True
        self._tell()

    async def _start(self) -> None:
        self._last = self._floor = await self._database.aread(events.last_id)
        self._kept.clear()
        self._task = asyncio.create_task(self._run(), name="api-feed")

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        failing = False
        with self._hints.listen() as listener:
            while True:
                try:
                    found = await self._database.aread(lambda one: events.after(one, self._last, limit=_PAGE))
                except StoreError as error:
                    if not failing:
                        log.warning("live events wait for the store", error=str(error))
                    failing = True
                    await asyncio.sleep(_RETRY_S)
                    continue
                failing = False
                self._keep(found)
                if len(found) < _PAGE:
                    await listener.wait(self._poll_s)

    def _keep(self, found: list[Event]) -> None:
        if not found:
            return
        self._kept.extend(found)
        while len(self._kept) > _KEPT:
            self._floor = self._kept.popleft().id
        self._last = found[-1].id
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
