"""What a crash may have left behind, put right before the server listens.

A photo whose file is in place and whose row is not was never acknowledged: its camera may send it again, or be gone for
good. So the row is written now, after another look at the bytes, as nobody knows what else has been in the folder.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.store import accounts, photos
from aperture.store.errors import ConflictError
from aperture.store.photos import Origin, Received
from broker.ftp.batch import Kit
from broker.ftp.errors import JpegError
from broker.ftp.jpeg import inspect
from broker.ftp.uploads import Target

log = structlog.get_logger(__name__)

_CHUNK = 500


def sweep(kit: Kit, *, partial_days: int) -> int:
    """Adopt photos without a row, remove old partial files; return how many photos were adopted.

    Raises:
        StoreError: the database does not answer.
    """
    adopted = sum(_adopt(kit, camera, photo) for camera, photo in _without_row(kit))
    pruned = kit.partials.prune(days=partial_days)
    if adopted or pruned:
        log.info("swept up after the last run", photos_adopted=adopted, old_partials_removed=pruned)
    return adopted


def _without_row(kit: Kit) -> Iterator[tuple[str, str]]:
    """Yield photos in files whose row is missing, or not yet `stored`: a suspect one's may be its mended bytes."""
    files = kit.blobs.walk()
    while chunk := list(islice(files, _CHUNK)):
        ids = [photo for _, photo in chunk]
        stored = kit.database.read(lambda connection, ids=ids: photos.stored_among(connection, ids))
        yield from ((camera, photo) for camera, photo in chunk if photo not in stored)


def _adopt(kit: Kit, camera: str, photo: str) -> bool:
    path = kit.blobs.path(camera, photo)
    try:
        data = path.read_bytes()
        jpeg = inspect(data)
    except (OSError, JpegError) as error:
        log.warning("a file among the photos is no whole photo", camera=camera, photo=photo, error=str(error))
        kit.partials.set_aside(Target(camera, photo, photo, None), path)
        return False
    at_ms = min(now_ms(), path.stat().st_mtime_ns // 1_000_000)

    def write(connection: Connection) -> bool:
        account = accounts.get(connection, camera)
        row = Received(
            camera=camera,
            photo=photo,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            width=jpeg.width,
            height=jpeg.height,
            upload_started_ms=at_ms,
            received_ms=at_ms,
            stored_ms=now_ms(),
            origin=Origin.FTP if account is not None and account.ftp_only else Origin.CAMERA,
        )
        return photos.receive(connection, row)

    try:
        return kit.database.write(write)
    except ConflictError as conflict:
        log.warning("a file among the photos is not the photo of its name", camera=camera, error=str(conflict))
        kit.partials.set_aside(Target(camera, photo, photo, None), path)
        return False
