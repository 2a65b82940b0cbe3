"""What came of the photos of virtual cameras: what the sensors gave, beside what the archive has."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from aperture.store import schema
from aperture.store.blobs import Blobs
from aperture.store.database import Database
from aperture.store.errors import NotFoundError
from aperture.store.photos import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`frames` were given by sensors, of which `stored` are in the archive. The lists are photo ids.

    waiting: it lies on a camera's card, and the archive has it not yet. lost: a camera had it on its card, or announced
    it, and neither has it any more. doubled: a frame is in the archive
    once more. broken: the archive's bytes are no frame of that camera.
    """

    frames: int
    taken: int
    stored: int
    waiting: list[str]
    lost: list[str]
    doubled: list[str]
    broken: list[str]

    @property
    def kept_the_promise(self) -> bool:
        """Whether nothing is wrong, and everything has arrived."""
        return not (self.waiting or self.lost or self.doubled or self.broken)


@dataclass(frozen=True, slots=True)
class _Row:
    photo: str
    camera: str
    state: str
    sha256: str | None


def ids(database: Database, cameras: Iterable[str]) -> set[str]:
    """Return the ids of all photos of these cameras that the store knows."""
    return {row.photo for row in database.read(lambda connection: _rows(connection, list(cameras)))}


def judge(
    *,
    database: Database,
    blobs: Blobs,
    taken: Mapping[str, set[str]],
    frames: Mapping[str, Path],
    before: Iterable[str] = (),
    on_cards: Collection[str] = (),
) -> Verdict:
    """Compare what cameras took with what the archive has.

    Args:
        database: the store.
        blobs: the archive.
        taken: camera → ids of the photos that it said to have on its card.
        frames: camera → the folder of all the frames that its sensor gave.
        before: ids that the store had before; they are left out.
        on_cards: ids of photos that lie on cards, not handed over.
    """
    known, waiting = set(before), set(on_cards)
    rows = [row for row in database.read(lambda connection: _rows(connection, list(taken))) if row.photo not in known]
    given = {
        camera: {_digest(path.read_bytes()) for path in folder.rglob("*.jpg")} for camera, folder in frames.items()
    }
    stored = {row.photo: row for row in rows if row.state == State.STORED}
    expected = {photo for photos in taken.values() for photo in photos} | {row.photo for row in rows}
    times = Counter((row.camera, row.sha256) for row in stored.values())
    return Verdict(
        frames=sum(map(len, given.values())),
        taken=len(expected),
        stored=len(stored),
        waiting=sorted((expected & waiting) - set(stored)),
        lost=sorted(expected - set(stored) - waiting),
        doubled=sorted(row.photo for row in stored.values() if times[row.camera, row.sha256] > 1),
        broken=sorted(row.photo for row in stored.values() if not _is_whole(row, blobs, given[row.camera])),
    )


def _rows(connection: Connection, cameras: list[str]) -> list[_Row]:
    photo = schema.photo.c
    query = select(photo.id, photo.camera, photo.state, photo.sha256).where(photo.camera.in_(cameras))
    return [_Row(*row) for row in connection.execute(query)]


def _is_whole(row: _Row, blobs: Blobs, given: set[str]) -> bool:
    try:
        digest = _digest(blobs.read(row.camera, row.photo))
    except NotFoundError:
        return False
    return digest == row.sha256 and digest in given


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
