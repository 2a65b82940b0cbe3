"""Photos: pages of them, one, its image, its thumbnail, and its end."""

import asyncio
import contextlib
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from aperture.clock import now_ms
from aperture.contract.messages import PhotoRecord
from aperture.store import gallery
from aperture.store import photos as store
from aperture.store.errors import NotFoundError
from aperture.store.photos import State
from api import examples, images
from api.auth import OPERATOR, READER, Reader
from api.documents import PhotoPage, document
from api.problems import DAMAGED, FORBIDDEN, INVALID, NOT_FOUND, RANGE, UNDECODABLE, ProblemError, responses
from api.services import Services, Use
from api.thumbnails import DEFAULT_WIDTH, WIDTHS, nearest

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1/photos", tags=["photos"])

PhotoId = Annotated[str, Path(pattern=r"^[a-z2-7]{26}$", description="The photo's id.", examples=[examples.PHOTO_ID])]

_KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}
_ASK_AGAIN = {"Cache-Control": "private, no-cache"}
_JPEG: dict[str, Any] = {"content": {images.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "",
    dependencies=READER,
    response_model=PhotoPage,
    responses={200: examples.json(examples.PHOTO_PAGE), **responses(INVALID)},
)
async def list_photos(
    services: Use,
    camera: Annotated[str | None, Query(max_length=32, description="Of this camera only.")] = None,
    before: Annotated[str | None, Query(max_length=128, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
) -> Response:
    """Return a page of photos, newest first."""

    def work(connection: Connection) -> tuple[list[PhotoRecord], str | None]:
        return gallery.page(connection, links=services.links, camera=camera, before=before, limit=limit)

    try:
        found, following = await services.database.aread(work)
    except NotFoundError as error:  # all that `page` can miss is the place that `before` names
        raise ProblemError(INVALID, str(error)) from error
    return document(PhotoPage.model_construct(photos=found, next=following))


@router.get(
    "/{photo}",
    dependencies=READER,
    response_model=PhotoRecord,
    responses={200: examples.json(examples.PHOTO), **responses(NOT_FOUND, INVALID)},
)
async def get_photo(services: Use, photo: PhotoId) -> Response:
    """Return one photo's record."""
    return document(await find(services, photo))


@router.get(
    "/{photo}/image",
    dependencies=READER,
    response_class=Response,
    responses={
        200: {"description": "The JPEG, byte for byte as the camera made it.", **_JPEG},
        206: {"description": "The part that `Range` asks for.", **_JPEG},
        304: {"description": "You have it (`If-None-Match`)."},
        **responses(NOT_FOUND, RANGE, INVALID, DAMAGED),
    },
)
async def get_image(request: Request, services: Use, photo: PhotoId) -> Response:
    """Return a photo's image. Its ETag is the SHA-256 of its bytes."""
    record = await with_bytes(services, photo)
    return await images.original(request, services, record, _caching(record))


@router.get(
    "/{photo}/thumbnail",
    dependencies=READER,
    response_class=Response,
    responses={
        200: {"description": "A small JPEG, upright.", **_JPEG},
        304: {"description": "You have it (`If-None-Match`)."},
        **responses(NOT_FOUND, INVALID, UNDECODABLE),
    },
)
async def get_thumbnail(
    request: Request,
    services: Use,
    photo: PhotoId,
    width: Annotated[
        int,
        Query(ge=1, le=4096, description=f"Pixels; the next larger of {WIDTHS} is made, none larger than the photo."),
    ] = DEFAULT_WIDTH,
) -> Response:
    """Return a small version of a photo's image."""
    record = await with_bytes(services, photo)
    width = nearest(width)
    sha256 = record.sha256 or ""
    etag = f'"{sha256[:16]}-{width}"'
    if images.matches(request, etag):
        return images.not_modified(etag, _caching(record))
    small = await services.thumbnails.get(camera=record.camera, photo=record.id, sha256=sha256, width=width)
    return Response(small, headers={**_caching(record), "ETag": etag}, media_type=images.MEDIA_TYPE)


@router.delete(
    "/{photo}",
    dependencies=OPERATOR,
    status_code=204,
    response_class=Response,
    responses={204: {"description": "It is gone."}, **responses(FORBIDDEN, NOT_FOUND, INVALID)},
)
async def delete_photo(services: Use, photo: PhotoId, caller: Reader) -> Response:
    """Delete a photo for good: its record, its image and its thumbnails. Messages in Discord stay."""
    record = await find(services, photo)
    at_ms = now_ms()
    if not await services.database.awrite(lambda one: store.delete(one, photo=photo, now_ms=at_ms)):
        raise NotFoundError("there is no such photo")
    services.hints.wake()
    log.info("photo deleted", camera=record.camera, photo=photo, by=caller.name)
    await asyncio.to_thread(erase, services, record.camera, photo)
    return Response(status_code=204)


router.add_api_route("/{photo}/image", get_image, methods=["HEAD"], dependencies=READER, include_in_schema=False)
router.add_api_route(
    "/{photo}/thumbnail", get_thumbnail, methods=["HEAD"], dependencies=READER, include_in_schema=False
)


async def find(services: Services, photo: str) -> PhotoRecord:
    """Return a photo's record.

    Raises:
        NotFoundError: there is none.
    """
    return await services.database.aread(lambda one: gallery.record(one, photo, links=services.links))


async def with_bytes(services: Services, photo: str) -> PhotoRecord:
    """Return the record of a photo whose bytes are there.

    Raises:
        NotFoundError: there is none, or it was announced only.
    """
    record = await find(services, photo)
    if record.url is None:
        raise NotFoundError(f"the photo's bytes are not there yet: it is {record.state}")
    return record


def erase(services: Services, camera: str, photo: str) -> None:
    """Remove the bytes of a photo whose row is hidden. What fails now is found again by the next sweep."""
    with contextlib.suppress(OSError):
        services.blobs.delete(camera, photo)
    with contextlib.suppress(OSError):
        services.thumbnails.forget(camera, photo)


def _caching(record: PhotoRecord) -> dict[str, str]:
    """The bytes of a photo never change, save those of a suspect one, which wait to be replaced."""
    return _KEEP if record.state == State.STORED else _ASK_AGAIN
