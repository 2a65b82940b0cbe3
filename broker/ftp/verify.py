"""What becomes of an upload, decided from its bytes and from what is known of the photo. No input or output here.

A closed connection ends a file in FTP (RFC 959, 3.4.1) whether or not all of it came: so nothing here trusts it.
"""

import base64
import hashlib
from dataclasses import dataclass
from enum import Enum, auto

from aperture.store.photos import Expected, Origin, Received
from broker.ftp.errors import JpegCutError, JpegError
from broker.ftp.jpeg import Jpeg, inspect
from broker.ftp.uploads import Upload

DAY_MS = 86_400_000
"""Within it, a foreign camera's file of the same name and bytes is the same photo."""

_TEST_FILE_BYTES = 64 * 1024


class Fate(Enum):
    """What is to be done with the file that came."""

    STORE = auto()  # it is the photo
    KEEP = auto()  # it is the photo's beginning: the rest may follow
    SET_ASIDE = auto()  # it is wrong, and no more bytes can cure it
    DISCARD = auto()  # nobody needs it


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate, and the reply that tells of it (empty for STORE, which has yet to succeed)."""

    fate: Fate
    code: int = 0
    text: str = ""
    stored: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the bytes say."""

    length: int  # of the whole file
    sha256: str
    head: bytes
    jpeg: Jpeg | JpegError


@dataclass(slots=True, kw_only=True)
class Case:
    """One upload on its way through a batch."""

    upload: Upload
    facts: Facts
    known: Expected | None = None
    twin: str | None = None  # a stored photo that is this one: of a foreign camera, or of ours that lost its id
    tail_fits: bool = False  # a scratch file: its bytes are those of the stored photo from its offset on
    verdict: Verdict = Verdict(Fate.STORE)

    @property
    def photo(self) -> str | None:
        """The photo's id, if it has one already."""
        return self.twin or self.upload.target.photo


def judge(case: Case) -> Verdict:
    """Decide. The first rule that applies wins."""
    upload, known = case.upload, case.known
    if known and known.camera != upload.target.camera:
        return Verdict(Fate.DISCARD, 553, "This photo belongs to another camera.")
    if known and known.stored_sha256:
        return _again(case, known)
    if upload.scratch:
        return Verdict(Fate.DISCARD, 451, "This photo is not stored any more; send it whole.")
    if upload.target.photo is None and _is_test_file(case):
        return Verdict(Fate.DISCARD, 226, "Taken as a test, and not kept: only JPEG photos are.")
    return _first_time(case)


def resumable(data: bytes, *, total: int | None, fresh: bool) -> int:
    """Return how much of a partial file SIZE may tell: an upload goes on from there.

    A camera that hears its photo's full length takes it as handed over. So a partial never tells it, even when all
    bytes came and only the commit failed: it holds back one, for whose sake the upload is finished properly.

    Args:
        data: The partial file.
        total: The photo's length, when a manifest told it.
        fresh: Whether every byte came since the server was started. Of an older file the end may be a hole, after a
            power cut.
    """
    if total is not None:
        return min(len(data), total - 1)
    try:
        inspect(data)
    except JpegCutError:
        return len(data) if fresh else len(data.rstrip(b"\0"))
    except JpegError:
        pass
    return len(data) - 1


def row_of(case: Case, *, stored_ms: int) -> Received:
    """Return the row of a photo that is to be stored."""
    upload, facts, target = case.upload, case.facts, case.upload.target
    jpeg = facts.jpeg
    if isinstance(jpeg, JpegError):
        raise jpeg
    return Received(
        camera=target.camera,
        photo=case.photo or _foreign_id(case, stored_ms // DAY_MS),
        bytes=facts.length,
        sha256=facts.sha256,
        width=jpeg.width,
        height=jpeg.height,
        upload_started_ms=upload.started_ms,
        received_ms=upload.received_ms,
        stored_ms=stored_ms,
        origin=Origin.CAMERA if target.photo else Origin.FTP,
        name=target.name,
    )


def _foreign_id(case: Case, day: int) -> str:
    """Return the id of a foreign camera's photo: the same for each attempt of a day, as each may leave a file."""
    target = case.upload.target
    said = "\0".join((target.camera, target.name or "", case.facts.sha256, str(day)))
    return base64.b32encode(hashlib.sha256(said.encode()).digest()[:16]).decode().rstrip("=").lower()


def _again(case: Case, known: Expected) -> Verdict:
    """Judge a hand-over of a photo that is stored: its 226 was lost, or the id is used twice."""
    upload = case.upload
    if upload.declared.sha256:
        same = upload.declared.sha256 == known.stored_sha256
    elif upload.scratch:
        same = case.tail_fits
    elif upload.appended and not upload.received and not upload.offset:
        same = True  # SIZE told the full length, and nothing was left to append
    else:
        same = case.facts.sha256 == known.stored_sha256
    if same:
        return Verdict(Fate.DISCARD, 226, "Stored already.", case.photo)
    return Verdict(Fate.DISCARD, 553, "This photo is stored already, with other bytes.")


def _is_test_file(case: Case) -> bool:
    """Whether it is what a camera sends to try the server out, and surely not the beginning of a photo."""
    upload, facts = case.upload, case.facts
    name = (upload.target.name or "").lower()
    maybe_photo = name.endswith((".jpg", ".jpeg")) or b"\xff\xd8".startswith(facts.head)
    if name.endswith(".txt"):
        maybe_photo = facts.head == b"\xff\xd8"
    return not maybe_photo and not upload.broken and facts.length <= _TEST_FILE_BYTES


def _first_time(case: Case) -> Verdict:  # noqa: PLR0911 - one rule a line is the clearest it can be
    upload, known, facts = case.upload, case.known, case.facts
    size = known.bytes if known and known.bytes else upload.declared.bytes
    if upload.target.photo is None and upload.offset:
        size = None  # other people's clients announce the rest rather than the whole
    sha256 = known.sha256 if known and known.sha256 else upload.declared.sha256
    if size is not None and facts.length < size:
        return Verdict(Fate.KEEP, 426, f"Only {facts.length} of {size} bytes came; send the rest from there.")
    if size is None and (upload.broken or isinstance(facts.jpeg, JpegCutError)):
        return Verdict(Fate.KEEP, 426, f"Cut off after {facts.length} bytes; send the rest from there.")
    wrong = 451 if upload.offset else 550  # the fault may be in the old part: then sending it whole cures it
    if size is not None and facts.length > size:
        return Verdict(Fate.SET_ASIDE, wrong, f"{facts.length} bytes came where {size} were announced.")
    if sha256 is not None and facts.sha256 != sha256:
        return Verdict(Fate.SET_ASIDE, wrong, "The bytes are not those of the announced SHA-256; send it whole.")
    if isinstance(facts.jpeg, JpegError):
        return Verdict(Fate.SET_ASIDE, wrong, f"Not a whole JPEG: {facts.jpeg}.")
    if sha256 is None and upload.offset and not upload.fresh:
        # A power cut may have left zeros in the old part, which no walk through the JPEG would notice.
        return Verdict(Fate.SET_ASIDE, 451, "Its first part is old and nothing vouches for it; send it whole.")
    return Verdict(Fate.STORE)
