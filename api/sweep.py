"""Removes the bytes of deleted photos that are still there.

The power went between row and file, or a camera that did not know handed the photo over once more.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from aperture.store import photos
from aperture.store.errors import StoreError
from api.photos import erase
from api.services import Services

log = structlog.get_logger(__name__)

_EVERY_S = 600.0


@asynccontextmanager
async def running(services: Services) -> AsyncGenerator[None]:
    """Sweep now and every ten minutes while the application runs."""
    task = asyncio.create_task(_run(services), name="api-sweep")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _run(services: Services) -> None:
    while True:
        try:
            await sweep(services)
        except (StoreError, OSError) as error:
            log.warning("deleted photos not swept", error=str(error))
        await asyncio.sleep(_EVERY_S)


async def sweep(services: Services) -> int:
    """Remove what is left of deleted photos; return of how many."""
    deleted = await services.database.aread(photos.deleted)
    return await asyncio.to_thread(_sweep, services, deleted)


def _sweep(services: Services, deleted: list[tuple[str, str]]) -> int:
    left = [(camera, photo) for camera, photo in deleted if services.blobs.size(camera, photo) is not None]
    for camera, photo in left:
        erase(services, camera, photo)
        log.info("deleted photo swept", camera=camera, photo=photo)
    return len(left)
