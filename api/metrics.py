"""Numbers for Prometheus (text format 0.0.4), counted from the rows at each scrape, whichever process asks.

Written here by hand: `prometheus_client` is made for counters that live in one process, and these live in the store.
Stage times are quantiles of the newest photos, not counters, and say so.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import quantiles

from fastapi import APIRouter
from sqlalchemy import Connection, func, select
from starlette.responses import Response

from aperture.contract.messages import Presence
from aperture.store import cameras, events, schema
from aperture.store.photos import State
from api import examples
from api.auth import READER
from api.services import Use

router = APIRouter(tags=["health"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NEWEST = 1000
STAGES = (
    ("captured", "pressed", "captured"),
    ("uploaded", "upload_started", "received"),
    ("stored", "received", "stored"),
    ("posted", "stored", "posted"),
    ("press_to_stored", "pressed", "stored"),
    ("press_to_posted", "pressed", "posted"),
)
"""Name of each stretch, and the two stages that it lies between."""

_QUANTILES = {"0.5": 49, "0.9": 89, "0.99": 98}
Sample = tuple[dict[str, str], float]


@router.get(
    "/metrics",
    dependencies=READER,
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": examples.METRICS}},
        }
    },
)
async def get_metrics(services: Use) -> Response:
    """Return the server's numbers for Prometheus."""

    async def count() -> str:
        return await services.database.aread(lambda connection: page(connection, services.version))

    return Response(await services.metrics.get(count), media_type=MEDIA_TYPE)


def page(connection: Connection, version: str) -> str:
    """Count everything and return the text."""
    known = cameras.every(connection)
    presence = dict.fromkeys(Presence, 0)
    for camera in known:
        presence[camera.presence] += 1
    blocks = (
        _block("aperture_info", "The server's version.", [({"version": version}, 1)]),
        _block("aperture_photos", "Photos that are kept, by state.", _photos(connection)),
        _block("aperture_deliveries", "Posts to destinations, by state.", _deliveries(connection)),
        _block(
            "aperture_destinations_parked", "Destinations that refuse us until their owner acts.", _parked(connection)
        ),
        _block("aperture_commands", "Commands that wait for their camera, by state.", _commands(connection)),
        _block("aperture_cameras", "Cameras, by presence.", [({"presence": key}, n) for key, n in presence.items()]),
        _block(
            "aperture_camera_queue",
            "Photos on each camera's card that are not handed over.",
            [
                ({"camera": one.name}, one.status["queue"])
                for one in known
                if one.status and one.status.get("queue") is not None
            ],
        ),
        _block("aperture_events_last_id", "The newest event.", [({}, events.last_id(connection))]),
        _block(
            "aperture_stage_seconds",
            f"How long each stage took: quantiles of the newest {NEWEST} photos.",
            _stages(connection),
        ),
    )
    return "".join(blocks)


def _photos(connection: Connection) -> list[Sample]:
    photo = schema.photo.c
    columns = photo.camera, photo.state  # in the order of the index that is counted from
    query = select(*columns, func.count()).where(photo.deleted_at_ms.is_(None)).group_by(*columns)
    counts: Counter[str] = Counter()
    for _, state, count in connection.execute(query):
        counts[state] += count
    return [({"state": one}, counts[one]) for one in State]


def _deliveries(connection: Connection) -> list[Sample]:
    columns = schema.delivery.c.target, schema.delivery.c.state
    rows = connection.execute(select(*columns, func.count()).group_by(*columns).order_by(*columns))
    return [({"target": row[0], "state": row[1]}, row[2]) for row in rows]


def _parked(connection: Connection) -> list[Sample]:
    query = select(func.count()).where(schema.destination.c.parked_at_ms.is_not(None))
    return [({}, connection.execute(query).scalar_one())]


def _commands(connection: Connection) -> list[Sample]:
    state = schema.command.c.state
    query = select(state, func.count()).where(state.in_(["queued", "sent"])).group_by(state)
    counts = {row[0]: row[1] for row in connection.execute(query)}
    return [({"state": one}, counts.get(one, 0)) for one in ("queued", "sent")]


def _stages(connection: Connection) -> list[Sample]:
    photo = schema.photo.c
    columns = [
        photo[f"{name}_ms"] for name in ("pressed", "captured", "upload_started", "received", "stored", "posted")
    ]
    query = select(*columns).where(photo.deleted_at_ms.is_(None)).order_by(photo.sort_at_ms.desc()).limit(NEWEST)
    rows = connection.execute(query).mappings().all()
    samples: list[Sample] = []
    for name, begin, end in STAGES:
        pairs = [(row[f"{begin}_ms"], row[f"{end}_ms"]) for row in rows]
        taken = [last - first for first, last in pairs if first is not None and last is not None]
        samples += [({"stage": name, "quantile": key}, value / 1000) for key, value in _cut(taken)]
    return samples


def _cut(values: Sequence[int]) -> Iterable[tuple[str, float]]:
    if not values:
        return []
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [float(values[0])] * 99
    return [(key, cuts[index]) for key, index in _QUANTILES.items()]


def _block(name: str, words: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {words}", f"# TYPE {name} gauge"]
    lines += [
        f"{name}{_labels(labels)} {value:g}" if value != int(value) else f"{name}{_labels(labels)} {int(value)}"
        for labels, value in samples
    ]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
