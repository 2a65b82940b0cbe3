"""Making a photo smaller that Discord finds too large. The archive keeps it whole; only the message shows this one."""

import io
from typing import Final

from PIL import Image

_QUALITIES: Final = (82, 70, 55)
_LEAST_SIDE: Final = 160
MOST_BYTES: Final = 7 * 1024 * 1024
"""Below what any server takes, boosted or not, with room for the payload."""


def shrink(data: bytes) -> bytes | None:
    """Return the photo in at most half of its bytes and `MOST_BYTES`; None when it can't be done.

    It is encoded worse, and when that isn't enough also smaller. Blocks for a while: call it in a thread.
    """
    limit = min(MOST_BYTES, len(data) // 2)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _fit(image.convert("RGB"), image.getexif(), limit)
    except Exception:  # noqa: BLE001 - a decoder raises anything for bytes that are odd enough
        return None


def _fit(image: Image.Image, exif: Image.Exif, limit: int) -> bytes | None:
    while min(image.size) >= _LEAST_SIDE:
        for quality in _QUALITIES:
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality, exif=exif)
            if out.tell() <= limit:
                return out.getvalue()
        image = image.reduce(2)
    return None
