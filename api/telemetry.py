"""A camera's numbers over time, in columns, as charts want them."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from aperture.clock import now_ms
from aperture.store import cameras, telemetry
from aperture.store.errors import NotFoundError
from aperture.store.telemetry import Point
from api import examples
from api.auth import READER
from api.cameras import CameraName
from api.documents import Series, TelemetryDocument, document
from api.problems import INVALID, NOT_FOUND, ProblemError, responses
from api.services import Use

router = APIRouter(prefix="/api/v1/cameras", tags=["telemetry"])

DAY_MS = 86_400_000
_LATEST_MS = 2**53

Instant = Annotated[int, Query(ge=0, le=_LATEST_MS)]


@router.get(
    "/{camera}/telemetry",
    dependencies=READER,
    response_model=TelemetryDocument,
    responses={200: examples.json(examples.TELEMETRY), **responses(NOT_FOUND, INVALID)},
)
async def get_telemetry(
    services: Use,
    camera: CameraName,
    from_ms: Annotated[
        int | None, Query(alias="from", ge=0, le=_LATEST_MS, description="Unix ms; a day before `to` by default.")
    ] = None,
    to_ms: Annotated[int | None, Query(alias="to", ge=0, le=_LATEST_MS, description="Unix ms; now by default.")] = None,
    points: Annotated[int, Query(ge=1, le=2000, description="How many steps at most.")] = 300,
) -> Response:
    """Return each field's minimum, mean and maximum in each step of a stretch of time."""
    end_ms = now_ms() + 1 if to_ms is None else to_ms
    begin_ms = max(0, end_ms - DAY_MS) if from_ms is None else from_ms
    if begin_ms >= end_ms:
        raise ProblemError(INVALID, "query.from: must be before `to`")

    def work(connection: Connection) -> list[Point]:
        if cameras.get(connection, camera) is None:
            raise NotFoundError(f"there is no camera {camera!r}")
        return telemetry.points(connection, camera=camera, from_ms=begin_ms, to_ms=end_ms, most=points)

    found = await services.database.aread(work)
    return document(
        TelemetryDocument.model_construct(camera=camera, from_ms=begin_ms, to_ms=end_ms, series=_series(found))
    )


def _series(found: list[Point]) -> dict[str, Series]:
    series: dict[str, Series] = {}
    for point in found:
        one = series.setdefault(point.field, Series(at_ms=[], minimum=[], mean=[], maximum=[]))
        one.at_ms.append(point.at_ms)
        one.minimum.append(point.minimum)
        one.mean.append(round(point.mean, 3))
        one.maximum.append(point.maximum)
    return series
