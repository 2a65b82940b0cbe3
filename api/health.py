"""Whether this process lives, and whether it can do its work. Both need no token, so neither tells more than that."""

import asyncio
import os
import secrets
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Connection, text
from starlette.responses import Response

from aperture.settings import Settings
from aperture.store.errors import StoreError
from api import examples
from api.documents import document
from api.problems import NOT_READY, ProblemError, responses
from api.services import Services, Use

router = APIRouter(tags=["health"])

_DEADLINE_S = 3.0
_LEAST_FREE_BYTES = 32 * 1024 * 1024
_NO_STORE = {"Cache-Control": "no-store"}


class Alive(BaseModel):
    """The process answers."""

    status: str
    version: str


class Ready(BaseModel):
    """Everything works. `checks` maps each part to ok."""

    status: str
    checks: dict[str, str]


@router.get("/healthz", response_model=Alive, responses={200: examples.json(examples.ALIVE)})
async def healthz(services: Use) -> Response:
    """Answer, as long as the process can."""
    return document(Alive(status="ok", version=services.version), headers=_NO_STORE)


@router.get("/readyz", response_model=Ready, responses={200: examples.json(examples.READY), **responses(NOT_READY)})
async def readyz(services: Use) -> Response:
    """Tell whether the database answers, photos can be written, and the other parts are well."""
    found = await services.ready.get(lambda: _check(services))
    wrong = [f"{part}: {state}" for part, state in found.items() if state != "ok"]
    if wrong:
        raise ProblemError(NOT_READY, "; ".join(wrong), headers=_NO_STORE, more={"checks": found})
    return document(Ready(status="ready", checks=found), headers=_NO_STORE)


async def _check(services: Services) -> dict[str, str]:
    database, photos = await asyncio.gather(_database(services), _photos(services.settings))
    others = {part: wrong or "ok" for part, wrong in services.probe().items()}
    return {"database": database, "photos": photos, **others}


async def _database(services: Services) -> str:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await services.database.aread(_select_one)
    except (StoreError, TimeoutError):
        return "does not answer"
    return "ok"


def _select_one(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


async def _photos(settings: Settings) -> str:
    if settings.photos_url is not None:
        return "ok"  # its own requests tell when it fails
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await asyncio.to_thread(_write, settings.photos_dir)
    except TimeoutError:
        return "the folder does not answer"
    except OSError:
        return "the folder can't be written"


def _write(folder: Path) -> str:
    probe = folder / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"ok")
    finally:
        probe.unlink(missing_ok=True)
    disk = os.statvfs(folder)
    return "ok" if disk.f_bavail * disk.f_frsize >= _LEAST_FREE_BYTES else "the disk is nearly full"
