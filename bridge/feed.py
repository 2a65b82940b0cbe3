"""What others hear of what happened: acknowledgements to cameras, photos' records, new commands.

It reads the events by itself, from now on: what happened before is told by the records that are put back at each
connect, and by cameras that ask again.
"""

import asyncio

import structlog

from aperture.store import events
from aperture.store.database import Database
from aperture.store.errors import StoreError
from aperture.store.events import Event, Kind
from bridge.mqtt.mailman import Mailman
from bridge.mqtt.showcase import Showcase

log = structlog.get_logger(__name__)

_SHOWN = {
    Kind.PHOTO_STORED,
    Kind.PHOTO_ENRICHED,
    Kind.PHOTO_POSTED,
    Kind.PHOTO_SUSPECT,
    Kind.PHOTO_MENDED,
    Kind.PHOTO_DELETED,
}
_LOOK_S = 1.0


class Feed:
    """Tells cameras and readers over MQTT."""

    def __init__(self, *, database: Database, mailman: Mailman, showcase: Showcase) -> None:
        """Call `poke` when there may be news."""
        self._database = database
        self._mailman = mailman
        self._showcase = showcase
        self._news = asyncio.Event()

    def poke(self) -> None:
        """There may be news."""
        self._news.set()

    async def run(self) -> None:
        """Tell what happens until cancelled."""
        cursor = await self._database.aread(events.last_id)
        while True:
            await self._wait()
            try:
                found = await self._database.aread(lambda connection, after=cursor: events.after(connection, after))
                for event in found:
                    await self._try_to_tell(event)
                    cursor = event.id
            except StoreError as error:
                log.warning("events can't be read", error=str(error))
                await asyncio.sleep(_LOOK_S)

    async def restore(self) -> None:
        """Tell again what a broker or a camera may have forgotten: call it after each connect."""
        await self._showcase.restore()
        await self._mailman.deliver_new()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _try_to_tell(self, event: Event) -> None:
        """Tell one event. One that can't be told is skipped, so that it holds up nobody else's."""
        try:
            await self._tell(event)
        except StoreError:
            raise
        except Exception:  # whatever one event does, the next is told
            log.exception("an event can't be told", id=event.id, kind=event.kind, photo=event.photo)

    async def _tell(self, event: Event) -> None:
        if event.kind == Kind.COMMAND_QUEUED:
            await self._mailman.deliver_new()
        if event.kind == Kind.CAMERA_REVOKED and event.camera is not None:
            await self._showcase.forget(event.camera)
        if event.camera is None or event.photo is None:
            return
        if event.kind in {Kind.PHOTO_STORED, Kind.PHOTO_MENDED}:
            await self._mailman.tell_stored(event.camera, event.photo)
        if event.kind in _SHOWN:
            await self._showcase.show(event.camera, event.photo)
