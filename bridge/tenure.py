"""One bridge at a time: the lease is taken before anything is done, renewed to the very end, and then given back.

To the very end: a post that may still finish is ours until it has. Were the lease to run out meanwhile, the next bridge
would send that photo again.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from aperture.clock import now_ms
from aperture.store import lease
from aperture.store.database import Database
from aperture.store.errors import StoreError
from bridge.errors import LeaseLostError

log = structlog.get_logger(__name__)

NAME = "bridge"


class Tenure:
    """The right to be the bridge."""

    def __init__(self, *, database: Database, ttl_ms: int) -> None:
        """A lease lasts `ttl_ms` from each renewal; after a crash the next bridge starts that much later."""
        self._database = database
        self._ttl_ms = ttl_ms
        self.holder = f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(6)}"
        self._ends_ns = 0
        self._trouble = ""  # why the database could not be asked, last time

    @property
    def lease(self) -> tuple[str, str]:
        """Name and holder, for statements that must not act without it."""
        return NAME, self.holder

    @property
    def held(self) -> bool:
        """Whether the lease can't have ended yet, by a clock that nobody sets."""
        return time.monotonic_ns() < self._ends_ns

    @asynccontextmanager
    async def hold(self) -> AsyncGenerator[None]:
        """Wait for the lease, renew it until everything inside has ended, and give it back.

        Raises:
            LeaseLostError: in a group; it could not be renewed before it ended, and what was inside is cancelled.
        """
        await self._acquire()
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(), name="bridge lease")
                try:
                    yield
                finally:
                    keeping.cancel()
        finally:
            self._ends_ns = 0
            await self._release()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_ms / 3000)
            if not await self._take() and not self.held:
                raise LeaseLostError(self._trouble or "another bridge has taken over")

    async def _acquire(self) -> None:
        said = False
        while not await self._take():
            if not said and not self._trouble:
                log.info("another bridge is at work: waiting for its end")
                said = True
            await asyncio.sleep(min(0.5, self._ttl_ms / 4000))

    async def _take(self) -> bool:
        started_ns = time.monotonic_ns()
        try:
            taken = await self._database.awrite(
                lambda connection: lease.take(
                    connection, name=NAME, holder=self.holder, now_ms=now_ms(), ttl_ms=self._ttl_ms
                )
            )
        except StoreError as error:
            if self._trouble != str(error):  # once, for it is tried again several times a second
                self._trouble = str(error)
                log.warning("the lease can't be written: nobody may act without it", error=self._trouble)
            return False
        self._trouble = ""
        self._ends_ns = started_ns + self._ttl_ms * 1_000_000 if taken else 0
        return taken

    async def _release(self) -> None:
        try:
            await self._database.awrite(
                lambda connection: lease.release(connection, name=NAME, holder=self.holder),
            )
        except StoreError as error:
            log.warning("the lease can't be given back: it runs out by itself", error=str(error))
