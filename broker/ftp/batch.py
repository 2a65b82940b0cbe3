"""One batch of uploads on its way to the disk and the database. Runs in the commit thread; `commit` drives it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.store import photos
from aperture.store.blobs import Arrival, LocalBlobs
from aperture.store.database import Database
from aperture.store.errors import ConflictError, DiskFullError, NotFoundError, StoreError
from aperture.store.photos import Received
from broker.ftp.errors import JpegError, RefusedError
from broker.ftp.jpeg import inspect
from broker.ftp.known import checked
from broker.ftp.partials import Partials
from broker.ftp.transfer import disk_error
from broker.ftp.uploads import Reply, Target, Upload
from broker.ftp.verify import DAY_MS, Case, Facts, Fate, Verdict, judge, row_of

log = structlog.get_logger(__name__)

_UNREAD = Facts(length=0, sha256="", head=b"", jpeg=JpegError("it can't be read"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Where things are kept."""

    database: Database
    blobs: LocalBlobs
    partials: Partials


class Batch:
    """Takes uploads of different photos through verification, the disk and the database."""

    def __init__(self, *, kit: Kit, uploads: Sequence[Upload]) -> None:
        """Take what is waiting."""
        self._kit = kit
        self._uploads = uploads
        self.stored: list[str] = []

    def run(self) -> list[Reply]:
        """Do it all, and return one reply for each upload; no 226 among them is premature.

        Raises:
            StoreError: the database does not answer; the partial files are still there.
        """
        cases = [_case(upload) for upload in self._uploads]
        readable = [case for case in cases if case.facts is not _UNREAD]
        self._kit.database.read(lambda connection: _look_up(connection, readable))
        for case in readable:
            self._judge(case)
        self._store([case for case in cases if case.verdict.fate is Fate.STORE])
        for case in cases:
            self._dispose(case)
        return [Reply(f"{case.verdict.code} {case.verdict.text}", case.verdict.stored) for case in cases]

    def _judge(self, case: Case) -> None:
        try:
            if case.known is not None and case.photo is not None:
                case.known = checked(case.known, self._kit.blobs, case.photo)
            case.tail_fits = case.upload.scratch and self._tail_fits(case)
            case.verdict = judge(case)
        except (OSError, StoreError) as error:
            case.verdict = _unreadable(case.upload, error)

    def _store(self, cases: list[Case]) -> None:
        if not cases:
            return
        rows = [row_of(case, stored_ms=now_ms()) for case in cases]
        arrivals = [
            Arrival(camera=row.camera, photo=row.photo, source=Path(case.upload.path))
            for case, row in zip(cases, rows, strict=True)
        ]
        failures = self._kit.blobs.adopt(arrivals)
        durable: list[tuple[Case, Received]] = []
        for case, row, failure in zip(cases, rows, failures, strict=True):
            if failure is None:
                durable.append((case, row))
            else:
                case.verdict = _not_synced(case, failure)
        if durable:
            self._write(durable)

    def _write(self, durable: list[tuple[Case, Received]]) -> None:
        batch = [row for _, row in durable]
        try:
            results = self._kit.database.write(lambda connection: photos.receive_all(connection, batch))
        except Exception as error:  # noqa: BLE001 - the other uploads of the batch have their own answers
            refused = refusal(error)
            for case, _ in durable:
                case.verdict = Verdict(Fate.DISCARD, refused.code, str(refused))
            return
        for (case, row), result in zip(durable, results, strict=True):
            if isinstance(result, ConflictError):
                case.verdict = self._conflict(case, row, result)
            else:
                self.stored.append(f"{row.camera}/{row.photo}")
                case.verdict = Verdict(Fate.STORE, 226, "Stored.", row.photo)

    def _conflict(self, case: Case, row: Received, conflict: ConflictError) -> Verdict:
        """What was said of the photo changed while its bytes were being written: they are not the photo after all."""
        try:
            self._kit.partials.set_aside(case.upload.target, self._kit.blobs.path(row.camera, row.photo))
        except OSError as error:  # the sweep finds it
            log.warning("wrong bytes stay under a photo's name", camera=row.camera, photo=row.photo, error=str(error))
        return Verdict(Fate.DISCARD, 550, f"Refused: {conflict}.")

    def _tail_fits(self, case: Case) -> bool:
        upload = case.upload
        try:
            whole = self._kit.blobs.read(upload.target.camera, upload.target.key)
        except NotFoundError:
            return False
        return whole[upload.offset :] == Path(upload.path).read_bytes()

    def _dispose(self, case: Case) -> None:
        target, verdict = case.upload.target, case.verdict
        try:
            self._clear_up(target, verdict)
        except OSError as error:  # the others of the batch may be stored, and must hear of it
            log.warning("a file that nobody needs stays", camera=target.camera, key=target.key, error=str(error))
        if verdict.stored is None:
            log.warning("upload not stored", camera=target.camera, file=target.photo or target.name, why=verdict.text)

    def _clear_up(self, target: Target, verdict: Verdict) -> None:
        match verdict.fate:
            case Fate.SET_ASIDE:
                self._kit.partials.set_aside(target)
            case Fate.DISCARD:
                self._kit.partials.discard(target)
            case Fate.KEEP | Fate.STORE:  # stays, or is the photo now
                pass


def refusal(error: Exception) -> RefusedError:
    """Return the reply for something that went wrong: the disk's errors in their own words, others as 451."""
    match error:
        case RefusedError():
            return error
        case DiskFullError():
            return RefusedError(452, "The server's disk is full; the photo was not taken, send it again later.")
        case StoreError():
            return RefusedError(451, "The server's database does not answer; send it again later.")
        case OSError():
            return disk_error(error)
        case _:
            log.error("unexpected error in the commit thread", exc_info=error)
            return RefusedError(451, "The server failed; send it again later.")


def _case(upload: Upload) -> Case:
    try:
        return Case(upload=upload, facts=_facts(upload))
    except OSError as error:
        return Case(upload=upload, facts=_UNREAD, verdict=_unreadable(upload, error))


def _unreadable(upload: Upload, error: Exception) -> Verdict:
    log.error("an upload, or what it is compared with, can't be read", camera=upload.target.camera, error=str(error))
    refused = refusal(error)
    return Verdict(Fate.KEEP, refused.code, str(refused))


def _facts(upload: Upload) -> Facts:
    with open(upload.path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much as the reading
        data = file.read()
    try:
        jpeg = inspect(data)
    except JpegError as error:
        jpeg = error
    sha256 = upload.sha256 or hashlib.sha256(data).hexdigest()
    return Facts(length=len(data), sha256=sha256, head=data[:2], jpeg=jpeg)


def _look_up(connection: Connection, cases: list[Case]) -> None:
    known = photos.expected_all(connection, [case.upload.target.photo for case in cases if case.upload.target.photo])
    since_ms = now_ms() - DAY_MS
    for case in cases:
        target = case.upload.target
        if target.photo is not None:
            case.known = known.get(target.photo)
            if case.known is None:
                case.twin = photos.recovered(
                    connection, camera=target.camera, photo=target.photo, sha256=case.facts.sha256
                )
                case.known = photos.expected(connection, case.twin) if case.twin else None
        elif target.name is not None:
            case.twin = photos.same_foreign(
                connection, camera=target.camera, name=target.name, sha256=case.facts.sha256, since_ms=since_ms
            )
            case.known = photos.expected(connection, case.twin) if case.twin else None


def _not_synced(case: Case, failure: OSError) -> Verdict:
    """After a failed fsync nobody knows what is on the disk, and the next one may claim success: start over."""
    log.error("photo could not be synced", camera=case.upload.target.camera, error=str(failure))
    refused = disk_error(failure)
    return Verdict(Fate.DISCARD, refused.code, str(refused))
