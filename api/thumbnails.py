"""Small images: made once from a photo's bytes, kept in `<data>/thumbnails`, a cache that may be deleted at any time.

A full or broken disk costs the cache, not the answer. Pillow is loaded with the first thumbnail: most of what it
weighs in memory is not needed by who never looks at one.
"""

import asyncio
import contextlib
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from aperture.contract.ids import is_photo_id, is_slug
from aperture.store.blobs import Blobs, read_intact, sync
from api.problems import UNDECODABLE, ProblemError

if TYPE_CHECKING:
    from PIL.Image import Image

log = structlog.get_logger(__name__)

WIDTHS = (160, 320, 640, 1280)
DEFAULT_WIDTH = 320
MAX_PIXELS = 64_000_000
"""More than any camera that sends JPEGs of 10 MiB has; beyond it a small file could take all memory."""

_QUALITY = 82
_MAKERS = 2
_TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


def nearest(width: int) -> int:
    """Return the width that serves who asks for this one: the next larger that is made, or the largest."""
    return next((made for made in WIDTHS if made >= width), WIDTHS[-1])


class Thumbnails:
    """Makes and keeps them. At most two are made at one time, and each only once however many ask."""

    def __init__(self, *, root: Path, blobs: Blobs) -> None:
        """Keep them below `root`, which is made when it is needed."""
        self._root = root
        self._blobs = blobs
        self._makers = ThreadPoolExecutor(_MAKERS, thread_name_prefix="api-thumbnail")
        self._making: dict[Path, asyncio.Future[bytes]] = {}

    async def get(self, *, camera: str, photo: str, sha256: str, width: int) -> bytes:
        """Return the JPEG of a photo in one of `WIDTHS`, never larger than the photo itself.

        Raises:
            NotFoundError: the photo's bytes are gone.
            DamagedError: they are not those that were stored.
            ProblemError: they can't be decoded.
        """
        path = self._path(camera, photo, sha256, width)
        making = self._making.get(path)
        if making is None:
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(self._makers, self._find_or_make, path, camera, photo, sha256, width)
            self._making[path] = making
            making.add_done_callback(lambda _: self._making.pop(path, None))
        return await asyncio.shield(making)

    def forget(self, camera: str, photo: str) -> None:
        """Delete the thumbnails of a photo."""
        if is_slug(camera) and is_photo_id(photo):
            for path in (self._root / camera).glob(f"{photo}-*"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish what is being made."""
        self._makers.shutdown()

    def _path(self, camera: str, photo: str, sha256: str, width: int) -> Path:
        return self._root / camera / f"{photo}-{sha256[:16]}-{width}.jpg"

    def _find_or_make(self, path: Path, camera: str, photo: str, sha256: str, width: int) -> bytes:
        with contextlib.suppress(OSError):
            return path.read_bytes()
        small = shrink(read_intact(self._blobs, camera, photo, sha256), width)
        try:
            _keep(path, small)
        except OSError as error:
            log.warning("thumbnail not kept", camera=camera, photo=photo, error=error.strerror)
        return small


def shrink(jpeg: bytes, width: int) -> bytes:
    """Return a JPEG as a smaller one, upright, `width` pixels wide or as wide as it was.

    Raises:
        ProblemError: it can't be decoded.
    """
    from PIL import Image, ImageOps  # noqa: PLC0415 - loaded when the first thumbnail is wanted

    try:
        with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ProblemError(UNDECODABLE, f"the image has more than {MAX_PIXELS} pixels: no thumbnail")
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            across, down = (image.height, image.width) if turned else (image.width, image.height)
            width = min(width, across)
            height = max(1, down * width // across)
            image.draft("RGB", (height, width) if turned else (width, height))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((width, image.width + image.height), Image.Resampling.LANCZOS, reducing_gap=2.0)
            return _encode(upright)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ProblemError(UNDECODABLE, "the image's data is broken: no thumbnail can be made of it") from error


def _encode(image: "Image") -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(data)
        sync(partial)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
