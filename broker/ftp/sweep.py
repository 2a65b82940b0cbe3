"""What a crash may have left behind, put right before the server listens.

A photo whose file is in place and whose row is not was never acknowledged: its camera may send it again, or be gone for
good. So the row is written now, after another look at the bytes, as nobody knows what else has been in the folder.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import Connection, select

from aperture.clock import now_ms
from aperture.store import accounts, photos, schema
from aperture.store.blobs import sync
from aperture.store.errors import ConflictError
from aperture.store.photos import Origin, Received, State
from broker.ftp.batch import Kit
from broker.ftp.errors import JpegError
from broker.ftp.jpeg import inspect
from broker.ftp.uploads import Target
from broker.ftp.verify import DAY_MS

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
        return _take(kit, camera, photo, path)
    except (JpegError, ConflictError) as error:
        log.warning(
            "a file among the photos is not the photo of its name", camera=camera, photo=photo, error=str(error)
        )
        with suppress(OSError):
            kit.partials.set_aside(Target(camera, photo, photo, None), path)
    except OSError as error:
        log.warning("a file among the photos is left as it is", camera=camera, photo=photo, error=str(error))
    return False


def _take(kit: Kit, camera: str, photo: str, path: Path) -> bool:
    data = path.read_bytes()
    jpeg = inspect(data)
    at_ms = min(now_ms(), path.stat().st_mtime_ns // 1_000_000)
    sha256 = hashlib.sha256(data).hexdigest()
    foreign = kit.database.read(lambda connection: _is_foreign(connection, camera))
    if foreign and _has_twin(kit, camera, photo, sha256, at_ms):
        path.unlink()
        log.info("a foreign camera's second attempt removed: the first is stored", camera=camera, photo=photo)
        return False
    # Whoever died before the commit may have died before the fsync, too.
    sync(path)
    sync(path.parent)
    row = Received(
        camera=camera,
        photo=photo,
        bytes=len(data),
        sha256=sha256,
        width=jpeg.width,
        height=jpeg.height,
        upload_started_ms=at_ms,
        received_ms=at_ms,
        stored_ms=now_ms(),
        origin=Origin.FTP if foreign else Origin.CAMERA,
    )
    return kit.database.write(lambda connection: photos.receive(connection, row))


def _is_foreign(connection: Connection, camera: str) -> bool:
    account = accounts.get(connection, camera)
    return account is not None and account.ftp_only


def _has_twin(kit: Kit, camera: str, photo: str, sha256: str, at_ms: int) -> bool:
    """Whether these bytes are stored as another photo of this camera, received within a day of this file."""
    row = schema.photo.c
    query = select(row.id, row.bytes, row.deleted_at_ms).where(
        row.camera == camera,
        row.id != photo,
        row.state == State.STORED,
        row.sha256 == sha256,
        row.received_ms.between(at_ms - DAY_MS, at_ms + DAY_MS),
    )
    twins = kit.database.read(lambda connection: connection.execute(query).all())
    return any(twin.deleted_at_ms is not None or kit.blobs.size(camera, twin.id) == twin.bytes for twin in twins)
