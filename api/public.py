"""The one address that needs no token: a photo for who was given its link, in Discord or elsewhere.

The id has 128 random bits, so nobody finds a link who was not given it. Whatever is not there (never was, was deleted,
has no bytes yet, is no id at all) gets the same answer.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from aperture.contract.ids import is_photo_id
from aperture.store.errors import NotFoundError
from api import examples, images
from api.photos import with_bytes
from api.problems import DAMAGED, NOT_FOUND, RANGE, ProblemError, responses
from api.services import Use

router = APIRouter(tags=["public"])

PublicId = Annotated[str, Path(description="The photo's id.", examples=[examples.PHOTO_ID])]

_HEADERS = {
    "Cache-Control": "public, max-age=3600",  # short: a deleted photo should be gone from caches soon
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Robots-Tag": "noindex, noimageindex",
}
_JPEG: dict[str, Any] = {"content": {images.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "/p/{photo}.jpg",
    response_class=Response,
    responses={
        200: {"description": "The JPEG.", **_JPEG},
        206: {"description": "The part that `Range` asks for.", **_JPEG},
        304: {"description": "You have it (`If-None-Match`)."},
        **responses(NOT_FOUND, RANGE, DAMAGED),
    },
)
async def get_public_image(request: Request, services: Use, photo: PublicId) -> Response:
    """Return a photo's image to anyone who has its link."""
    if not is_photo_id(photo):
        raise _absent()
    try:
        record = await with_bytes(services, photo)
        return await images.original(request, services, record, _HEADERS)
    except NotFoundError:
        raise _absent() from None


router.add_api_route("/p/{photo}.jpg", get_public_image, methods=["HEAD"], include_in_schema=False)


def _absent() -> ProblemError:
    return ProblemError(NOT_FOUND, "there is no such photo")
