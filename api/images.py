"""JPEG bytes as HTTP answers: validators, ranges and HEAD (RFC 9110), from memory, as a photo has 10 MiB at most."""

import asyncio
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from aperture.contract.messages import PhotoRecord
from aperture.store.blobs import read_intact
from api.problems import RANGE, ProblemError
from api.services import Services

MEDIA_TYPE = "image/jpeg"
_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def matches(request: Request, etag: str) -> bool:
    """Whether the asker has this already (`If-None-Match`, compared weakly: RFC 9110, 13.1.2)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or any(tag.strip().removeprefix("W/") == etag for tag in given.split(","))


def not_modified(etag: str, headers: Mapping[str, str]) -> Response:
    """Return the 304."""
    return Response(status_code=304, headers={**headers, "ETag": etag})


async def original(request: Request, services: Services, photo: PhotoRecord, headers: Mapping[str, str]) -> Response:
    """Return the exact bytes of a photo, or the part of them that `Range` asks for.

    Raises:
        NotFoundError: they are gone.
        ProblemError: they are not those that were stored, or the range lies outside.
    """
    etag = f'"{photo.sha256}"'
    if matches(request, etag):
        return not_modified(etag, headers)
    headers = {**headers, "ETag": etag, "Accept-Ranges": "bytes"}
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(photo.bytes), "Content-Type": MEDIA_TYPE})
    async with services.reading:
        data = await asyncio.to_thread(read_intact, services.blobs, photo.camera, photo.id, photo.sha256)
    wanted = _range(request, etag, len(data))
    if wanted is None:
        return Response(data, headers=headers, media_type=MEDIA_TYPE)
    first, last = wanted
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, MEDIA_TYPE)


def _range(request: Request, etag: str, length: int) -> tuple[int, int] | None:
    """Return first and last byte; None for the whole: no range, several, not understood, or another version."""
    found = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or request.headers.get("if-range", etag) != etag or found[1] == found[2] == "":
        return None
    first = int(found[1]) if found[1] else max(0, length - int(found[2]))
    last = min(int(found[2]), length - 1) if found[1] and found[2] else length - 1
    if found[1] and found[2] and int(found[2]) < first:
        return None
    if first >= length or (not found[1] and int(found[2]) == 0):
        raise ProblemError(RANGE, f"the image has {length} bytes", headers={"Content-Range": f"bytes */{length}"})
    return first, last
