"""Is this JPEG whole? Decided by walking its segments (ITU-T T.81, annex B), never by its last two bytes.

An EXIF thumbnail is a JPEG inside a segment and brings an end marker of its own: a photo that was cut right there
ends in FF D9 like a whole one. And cameras pad: bytes after the end marker are fine. Pixels are not decoded.
"""

import re
from dataclasses import dataclass
from mmap import mmap

from broker.ftp.errors import JpegCutError, JpegError

_SOI = b"\xff\xd8"
_EOI, _SOS, _DNL = 0xD9, 0xDA, 0xDC
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, without DHT, JPG and DAC
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and RST0 to RST7: markers without a segment
_SOF_LENGTH = 8
_MOST_MARKERS = 20_000
"""Outside of scans. No camera's photo has a hundred; ten megabytes of nothing else would hold up everybody's 226."""

_NO_FILL = re.compile(rb"[^\xff]", re.DOTALL)

# In a scan FF 00 is a stuffed FF, FF D0 to D7 restart it, and FF FF is a fill byte: any other marker ends it.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A whole JPEG: its size in pixels, and its length in bytes without what trails it."""

    width: int
    height: int
    length: int


def inspect(data: bytes | mmap) -> Jpeg:  # noqa: C901 - one branch for each kind of marker
    """Walk a JPEG from its start to its last scan's end marker.

    Raises:
        JpegCutError: the bytes stop before that.
        JpegError: they are no JPEG, or one that is broken.
    """
    if data[:2] != _SOI:
        if _SOI.startswith(data[:2]):
            raise JpegCutError(f"{len(data)} bytes are no JPEG yet")
        raise JpegError("it does not begin like a JPEG")
    width = height = 0
    scanned = False
    at = 2
    for _ in range(_MOST_MARKERS):
        code, at = _marker(data, at)
        if code == _EOI:
            break
        if code in _BARE:
            continue
        body, end = _segment(data, at, code)
        if code in _SIZES:
            if end - body < _SOF_LENGTH - 2:
                raise JpegError(f"its frame header at byte {at} is too short")
            height, width = _word(data, body + 1), _word(data, body + 3)
        elif code == _DNL and end - body > 1:
            height = height or _word(data, body)  # a frame may leave its height to the end of the first scan
        elif code == _SOS:
            if not width:
                raise JpegError(f"there is a scan at byte {at} before any frame header")
            end, scanned = _after_scan(data, end), True
        at = end
    else:
        raise JpegError(f"it has more than {_MOST_MARKERS} markers")
    if not (scanned and width and height):
        raise JpegError("it ends without a picture in it")
    return Jpeg(width=width, height=height, length=at)


def _marker(data: bytes | mmap, at: int) -> tuple[int, int]:
    """Return the marker's code and the byte after it; any number of FF may come first (B.1.1.2)."""
    size = len(data)
    if at < size and data[at] != 0xFF:  # noqa: PLR2004 - the first byte of every marker
        raise JpegError(f"there is no marker at byte {at}")
    found = _NO_FILL.search(data, at)
    if found is None:
        raise JpegCutError(f"the JPEG is cut off at byte {size}")
    at = found.start()
    code = data[at]
    if code in {0x00, _SOI[1]}:
        raise JpegError(f"there is no marker at byte {at - 1}")
    return code, at + 1


def _segment(data: bytes | mmap, at: int, code: int) -> tuple[int, int]:
    """Return where a segment's content begins and ends; `at` is its length field."""
    if at + 2 > len(data):
        raise JpegCutError(f"the JPEG is cut off at byte {len(data)}")
    length = _word(data, at)
    if length < 2:  # noqa: PLR2004 - it counts its own two bytes
        raise JpegError(f"its segment FF {code:02X} at byte {at} has an impossible length")
    if at + length > len(data):
        raise JpegCutError(f"the JPEG is cut off at byte {len(data)}")
    return at + 2, at + length


def _after_scan(data: bytes | mmap, at: int) -> int:
    found = _AFTER_SCAN.search(data, at)
    if found is None:
        raise JpegCutError(f"the JPEG is cut off at byte {len(data)}")
    return found.start()


def _word(data: bytes | mmap, at: int) -> int:
    return data[at] << 8 | data[at + 1]
