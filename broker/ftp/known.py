"""What is known of a photo, checked against the disk: a row alone is no reason for a camera to drop its only copy."""

from dataclasses import replace

import structlog
from sqlalchemy import Connection

from aperture.store import photos
from aperture.store.blobs import LocalBlobs
from aperture.store.photos import Expected

log = structlog.get_logger(__name__)


def look_up(connection: Connection, blobs: LocalBlobs, photo: str) -> Expected | None:
    """Return what is known of a photo; see `checked`.

    Raises:
        OSError: the disk does not tell.
    """
    known = photos.expected(connection, photo)
    return None if known is None else checked(known, blobs, photo)


def checked(known: Expected, blobs: LocalBlobs, photo: str) -> Expected:
    """Return `known`; when the bytes that it calls stored are not there in full length, as if they had yet to come.

    Then nothing but those very bytes will do. Of a deleted photo they may be gone: it is handed over all the same.

    Raises:
        OSError: the disk does not tell.
    """
    if known.stored_bytes is None or known.deleted or blobs.size(known.camera, photo) == known.stored_bytes:
        return known
    log.error("the bytes of a stored photo are gone: taking them again", camera=known.camera, photo=photo)
    return replace(known, bytes=known.stored_bytes, sha256=known.stored_sha256, stored_bytes=None, stored_sha256=None)
