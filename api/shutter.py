"""A press of the shutter that waits for its own photo: the one whose manifest names the command, and no other."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.commands import DEFAULT_TTL_MS
from aperture.contract.messages import Do, PhotoRecord
from aperture.store import gallery, mailbox
from aperture.store.errors import NotFoundError
from aperture.store.mailbox import CommandState, Stored
from aperture.store.photos import State
from api.feed import Feed
from api.problems import BUSY, COMMAND_FAILED, ProblemError
from api.services import Services

LONGEST_WAIT_S = 60
_ENDED_WITHOUT = {CommandState.FAILED, CommandState.EXPIRED, CommandState.CANCELLED}


async def press(services: Services, *, camera: str, origin: str, wait_s: float) -> PhotoRecord | Stored:
    """Queue a shutter command; return its photo once that is stored, or the command when the time is over.

    Raises:
        NotFoundError: there is no such camera.
        CameraAsleepError: it sleeps past the time; nothing was queued.
        ProblemError: the camera said that it can't, or too many wait already.
    """
    if services.waiting.locked():
        raise ProblemError(BUSY, "too many requests wait for their photo already: try again")
    wait_ms = round(wait_s * 1000)
    deadline = asyncio.get_running_loop().time() + wait_s
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(services.waiting)
        seen = await stack.enter_async_context(services.feed.reading())
        command = await services.commands.make(
            camera=camera,
            do=Do.SHUTTER,
            origin=origin,
            now_ms=now_ms(),
            ttl_ms=wait_ms if wait_ms > DEFAULT_TTL_MS[Do.SHUTTER] else None,
            awake_within_ms=wait_ms,
        )
        return await _photo_of(services, command, seen, deadline)


async def _photo_of(services: Services, command: Stored, seen: int, deadline: float) -> PhotoRecord | Stored:
    while True:
        command, photo = await services.database.aread(partial(_look, services, command))
        if photo is not None:
            return photo
        if command.state in _ENDED_WITHOUT and command.photo is None:
            raise _failed(command)
        further = await _news_of(services.feed, command.camera, seen, deadline)
        if further is None:
            return command
        seen = further


async def _news_of(feed: Feed, camera: str, seen: int, deadline: float) -> int | None:
    """Return how far events are read once one is the camera's; None when the time is over first."""
    while not feed.closing:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            break
        found = await feed.after(seen, timeout_s=left)
        seen = found[-1].id if found else seen
        if any(event.camera == camera for event in found):
            return seen
    return None


def _look(services: Services, command: Stored, connection: Connection) -> tuple[Stored, PhotoRecord | None]:
    current = mailbox.get(connection, command.id) or command
    if current.photo is None:
        return current, None
    try:
        photo = gallery.record(connection, current.photo, links=services.links)
    except NotFoundError:  # deleted meanwhile
        return current, None
    return current, photo if photo.state == State.STORED else None


def _failed(command: Stored) -> ProblemError:
    words = ": ".join(word for word in (command.camera, command.error or command.state, command.detail) if word)
    return ProblemError(COMMAND_FAILED, words, more={"command": command.id, "error": command.error})
