"""The retained `photo` topic of each camera: the record of its newest photo, and nothing once that is deleted.

Of a camera that is revoked nothing stays: neither that record nor what it had the broker keep itself.

A change of an older photo is published too, but not retained: who listens sees it, and who comes later sees the newest.
"""

import asyncio

import structlog
from sqlalchemy import Connection

from aperture.contract.links import Links
from aperture.contract.messages import PhotoRecord
from aperture.contract.topics import RETAINED, Topics
from aperture.store import cameras, gallery
from aperture.store.database import Database
from aperture.store.errors import NotFoundError
from bridge.mqtt.link import Link

log = structlog.get_logger(__name__)


class Showcase:
    """Keeps the broker's retained records equal to the rows."""

    def __init__(self, *, database: Database, link: Link, topics: Topics, links: Links) -> None:
        """`links` are those that go into the records."""
        self._database = database
        self._link = link
        self._topics = topics
        self._links = links
        self._lock = asyncio.Lock()  # what was read first is also published first

    async def show(self, camera: str, photo: str) -> None:
        """Publish a photo as it is now."""

        def work(connection: Connection) -> tuple[PhotoRecord | None, bool]:
            newest = gallery.newest(connection, camera)
            try:
                return gallery.record(connection, photo, links=self._links), newest in {None, photo}
            except NotFoundError:
                return None, newest == photo

        async with self._lock:
            record, is_newest = await self._database.aread(work)
            if record is not None or is_newest:
                await self._publish(camera, record, retain=is_newest)

    async def restore(self) -> None:
        """Publish what should be retained: a broker may have lost it."""
        async with self._lock:
            for camera, record in await self._database.aread(self._newest_of_all):
                await self._publish(camera, record, retain=True)

    async def forget(self, camera: str) -> None:
        """Have the broker keep nothing of a camera that is revoked, and leave alone what it keeps of any other."""

        def is_revoked(connection: Connection) -> bool:
            known = cameras.get(connection, camera)
            return known is not None and known.revoked

        async with self._lock:
            if await self._database.aread(is_revoked):
                for kind in RETAINED:
                    await self._link.publish(self._topics.of(camera, kind), b"", retain=True)

    def _newest_of_all(self, connection: Connection) -> list[tuple[str, PhotoRecord | None]]:
        found: list[tuple[str, PhotoRecord | None]] = [(name, None) for name in cameras.revoked(connection)]
        for camera in cameras.every(connection):
            newest = gallery.newest(connection, camera.name)
            if newest is None:
                continue
            try:
                found.append((camera.name, gallery.record(connection, newest, links=self._links)))
            except NotFoundError:  # deleted
                found.append((camera.name, None))
            except ValueError:
                log.exception("a photo can't be shown", camera=camera.name, photo=newest)
        return found

    async def _publish(self, camera: str, record: PhotoRecord | None, *, retain: bool) -> None:
        body = b"" if record is None else record.encode()
        await self._link.publish(self._topics.of(camera, "photo"), body, retain=retain)
