"""Deadlines and tidying: what is overdue is said so, what is old is dropped."""

import asyncio
import time

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.messages import Presence
from aperture.hints import Hints
from aperture.settings import Settings
from aperture.store import cameras, events, mailbox, photos, telemetry
from aperture.store.database import Database
from aperture.store.errors import StoreError
from bridge.mqtt.mailman import Mailman
from bridge.tuning import Tuning

log = structlog.get_logger(__name__)

_DAY_MS = 86_400_000


class Housekeeping:
    """Looks at the clock."""

    def __init__(
        self, *, settings: Settings, database: Database, hints: Hints, mailman: Mailman, tuning: Tuning
    ) -> None:
        """Deadlines are those of the settings."""
        self._settings = settings
        self._database = database
        self._hints = hints
        self._mailman = mailman
        self._tuning = tuning

    async def run(self) -> None:
        """Look until cancelled."""
        tidied_s = 0.0
        while True:
            try:
                await self._look()
                if tidied_s == 0.0 or time.monotonic() - tidied_s > self._tuning.tidy_s:
                    tidied_s = time.monotonic()
                    await self._database.awrite(self._tidy)
            except StoreError as error:
                log.warning("deadlines can't be looked at", error=str(error))
            await asyncio.sleep(self._tuning.tick_s)

    async def _look(self) -> None:
        ended, overdue = await self._database.awrite(self._end)
        for camera, photo in overdue:
            log.warning("photo missing: announced, and its bytes never came", camera=camera, photo=photo)
        if ended or overdue:
            self._hints.wake()
        for camera in await self._database.aread(_online):
            await self._mailman.ask_again(camera)

    def _end(self, connection: Connection) -> tuple[list[str], list[tuple[str, str]]]:
        now = now_ms()
        ended = mailbox.expire(connection, now_ms=now, grace_ms=self._tuning.reply_grace_ms)
        before_ms = now - self._settings.missing_after_s * 1000
        return ended, photos.mark_missing(connection, announced_before_ms=before_ms, now_ms=now)

    def _tidy(self, connection: Connection) -> None:
        now = now_ms()
        telemetry.forget(connection, before_ms=now - self._settings.telemetry_days * _DAY_MS)
        events.prune(connection, before_ms=now - self._tuning.event_days * _DAY_MS)


def _online(connection: Connection) -> list[str]:
    return [one.name for one in cameras.every(connection) if one.presence is Presence.ONLINE and not one.ftp_only]
