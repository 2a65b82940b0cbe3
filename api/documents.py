"""The JSON that goes out: models for OpenAPI and one way to send them, already checked, without checking them again."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from aperture.contract.messages import Do, PhotoRecord, Presence
from aperture.store.mailbox import CommandState

MEDIA_TYPE = "application/json"


def document(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as an answer. FastAPI would check it once more, at several times the cost."""
    return Response(model.model_dump_json(), status, headers, MEDIA_TYPE)


class PhotoPage(BaseModel):
    """Some photos, newest first."""

    photos: list[PhotoRecord]
    next: str | None = Field(description="Give it as `before` for the next page; null at the end.")


class CommandDocument(BaseModel):
    """Something that was asked of a camera."""

    id: str
    camera: str
    do: Do
    args: dict[str, Any]
    origin: str = Field(description="Who asked, for example http.")
    state: CommandState
    created_at_ms: int
    expires_at_ms: int = Field(description="From then on the camera drops it.")
    expected_at_ms: int | None = Field(description="When the camera should hear it; null when nobody knows.")
    sent_at_ms: int | None
    answered_at_ms: int | None
    error: str | None = Field(description="A short code, when it failed.")
    detail: str | None = Field(description="The failure in words.")
    photo: str | None = Field(description="The photo that a shutter command made.")
    progress: int | None = Field(description="How far it is, in percent; null for what is done at once.")


class CameraDocument(BaseModel):
    """A camera and the last that is known of it."""

    name: str
    presence: Presence
    presence_at_ms: int | None = Field(description="Since when.")
    seen_at_ms: int | None
    next_wake_at_ms: int | None = Field(description="When a sleeping camera will wake by itself.")
    status: dict[str, Any] | None = Field(description="Its last telemetry; null where a board can't know.")
    status_at_ms: int | None
    config: dict[str, Any] | None = Field(description="The settings that it was last asked to take.")
    created_at_ms: int
    ftp_only: bool = Field(description="A foreign camera: it uploads, and takes no commands.")
    photos: int = Field(description="How many of its photos are kept.")
    photos_left: int | None = Field(
        description="How many photos its battery still has, by estimate; null when battery or capacity is unknown."
    )


class CameraList(BaseModel):
    """All cameras, by name."""

    cameras: list[CameraDocument]


class Series(BaseModel):
    """One field over time, in columns of equal length. Each entry stands for one step."""

    at_ms: list[int] = Field(description="When each step begins.")
    minimum: list[int]
    mean: list[float]
    maximum: list[int]


class TelemetryDocument(BaseModel):
    """A camera's numbers over time."""

    camera: str
    from_ms: int
    to_ms: int
    series: dict[str, Series]
