"""Cameras: what is known of them, and what can be asked of them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from aperture.clock import now_ms
from aperture.contract.messages import Do, PhotoRecord
from aperture.store import cameras
from aperture.store.cameras import Camera
from aperture.store.errors import NotFoundError
from aperture.store.mailbox import Stored
from api import examples, shutter
from api.auth import OPERATOR, READER, Reader
from api.documents import CameraDocument, CameraList, CommandDocument, document
from api.problems import ASLEEP, BUSY, COMMAND_FAILED, CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, TOO_LARGE, responses
from api.services import Services, Use

router = APIRouter(prefix="/api/v1/cameras", tags=["cameras"])

CameraName = Annotated[
    str, Path(pattern=r"^[a-z0-9-]{1,32}$", description="The camera's name.", examples=["front-door"])
]
Setting = Annotated[str, Field(max_length=64)] | int | bool | None
Config = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Setting],
    Body(min_length=1, max_length=32, openapi_examples={"picture": {"value": examples.CONFIG}}),
]


class SleepOrder(BaseModel):
    """How to sleep."""

    model_config = ConfigDict(extra="forbid")

    next_wake_ms: int | None = Field(
        default=None,
        ge=0,
        le=7 * 86_400_000,
        description="How long, in milliseconds; 0: until its button is pressed; null: as the camera is set.",
    )


class UpdateOrder(BaseModel):
    """To which firmware."""

    model_config = ConfigDict(extra="forbid")

    bundle: str | None = Field(default=None, max_length=64, description="The name of a bundle; null: the newest.")


@router.get("", dependencies=READER, response_model=CameraList, responses={200: examples.json(examples.CAMERAS)})
async def list_cameras(services: Use) -> Response:
    """Return all cameras, by name."""

    def work(connection: Connection) -> list[CameraDocument]:
        counts = cameras.photo_counts(connection)
        return [_document(camera, counts.get(camera.name, 0)) for camera in cameras.every(connection)]

    return document(CameraList.model_construct(cameras=await services.database.aread(work)))


@router.get(
    "/{camera}",
    dependencies=READER,
    response_model=CameraDocument,
    responses={200: examples.json(examples.CAMERA), **responses(NOT_FOUND, INVALID)},
)
async def get_camera(services: Use, camera: CameraName) -> Response:
    """Return one camera."""

    def work(connection: Connection) -> CameraDocument:
        known = cameras.get(connection, camera)
        if known is None:
            raise NotFoundError(f"there is no camera {camera!r}")
        return _document(known, cameras.photo_counts(connection, camera=camera).get(camera, 0))

    return document(await services.database.aread(work))


@router.post(
    "/{camera}/shutter",
    dependencies=OPERATOR,
    status_code=202,
    response_model=CommandDocument,
    responses={
        201: {
            **examples.json(examples.PHOTO, "The photo, stored. `Location` names it."),
            "model": PhotoRecord,
            "headers": {"Location": {"schema": {"type": "string"}, "description": "The photo's address."}},
        },
        202: examples.json(examples.COMMAND, "The command: the photo is not there yet. `Location` names it."),
        **responses(FORBIDDEN, NOT_FOUND, ASLEEP, INVALID, COMMAND_FAILED, BUSY),
    },
)
async def press_shutter(
    services: Use,
    camera: CameraName,
    caller: Reader,
    wait: Annotated[
        float | None, Query(ge=0, le=shutter.LONGEST_WAIT_S, description="Wait so many seconds for the photo.")
    ] = None,
) -> Response:
    """Have a camera take a photo.

    With `wait` the answer is that very photo, once its bytes are stored. A camera that sleeps past `wait` is not
    asked at all (409). Without `wait` the command is queued, for a sleeping camera until its next wake.
    """
    if wait is None:
        command = await services.commands.make(camera=camera, do=Do.SHUTTER, origin=_origin(caller), now_ms=now_ms())
        return _queued(command)
    outcome = await shutter.press(services, camera=camera, origin=_origin(caller), wait_s=wait)
    if isinstance(outcome, PhotoRecord):
        return document(outcome, 201, {"Location": f"/api/v1/photos/{outcome.id}"})
    return _queued(outcome)


@router.post(
    "/{camera}/sleep",
    dependencies=OPERATOR,
    status_code=202,
    response_model=CommandDocument,
    responses={202: examples.json(examples.SLEEP_COMMAND), **responses(FORBIDDEN, NOT_FOUND, INVALID, TOO_LARGE)},
)
async def send_to_sleep(
    services: Use,
    camera: CameraName,
    caller: Reader,
    order: Annotated[SleepOrder | None, Body(openapi_examples={"an hour": {"value": examples.SLEEP}})] = None,
) -> Response:
    """Send a camera to sleep. It first hands over what it has."""
    wake_ms = order.next_wake_ms if order else None
    args = {} if wake_ms is None else {"next_wake_ms": wake_ms}
    return _queued(await _ask(services, camera, Do.SLEEP, caller, args))


@router.put(
    "/{camera}/config",
    dependencies=OPERATOR,
    status_code=202,
    response_model=CommandDocument,
    responses={202: examples.json(examples.CONFIG_COMMAND), **responses(FORBIDDEN, NOT_FOUND, INVALID, TOO_LARGE)},
)
async def configure_camera(services: Use, camera: CameraName, caller: Reader, config: Config) -> Response:
    """Change settings of a camera; those that are not named stay.

    What can't be, as far as the camera told which sensor and settings it has, is refused here (422), and nothing is
    queued; the rest is for the camera to answer.
    """
    return _queued(await _ask(services, camera, Do.CONFIGURE, caller, config))


@router.post(
    "/{camera}/update",
    dependencies=OPERATOR,
    status_code=202,
    response_model=CommandDocument,
    responses={
        202: examples.json(examples.UPDATE_COMMAND),
        **responses(FORBIDDEN, NOT_FOUND, CONFLICT, INVALID, TOO_LARGE),
    },
)
async def update_firmware(
    services: Use,
    camera: CameraName,
    caller: Reader,
    order: Annotated[UpdateOrder | None, Body(openapi_examples={"a bundle": {"value": examples.UPDATE}})] = None,
) -> Response:
    """Have a camera fetch new firmware, try it, and keep it when it reaches the broker.

    The command tells how far it is (`progress`), and ends once the camera runs what it is to run. A camera that
    sleeps is told at its next wake.
    """
    args = {} if order is None or order.bundle is None else {"bundle": order.bundle}
    return _queued(await _ask(services, camera, Do.UPDATE, caller, args))


async def _ask(services: Services, camera: str, do: Do, caller: Reader, args: dict[str, Any]) -> Stored:
    return await services.commands.make(camera=camera, do=do, origin=_origin(caller), now_ms=now_ms(), args=args)


def _origin(caller: Reader) -> str:
    return f"http:{caller.name}"[:64]


def _queued(command: Stored) -> Response:
    shown = CommandDocument.model_construct(**asdict(command))
    return document(shown, 202, {"Location": f"/api/v1/commands/{command.id}"})


def _document(camera: Camera, photos: int) -> CameraDocument:
    shown = asdict(camera)
    del shown["revoked"]
    return CameraDocument.model_construct(**shown, photos=photos, photos_left=camera.photos_left)
