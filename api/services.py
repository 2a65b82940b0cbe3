"""What the handlers work with: made once by `create_app`, and handed to each of them as `Use`."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from aperture.commands import Commands
from aperture.contract.links import Links
from aperture.hints import Hints
from aperture.settings import Settings
from aperture.store.blobs import Blobs
from aperture.store.database import Database
from api.feed import Feed
from api.kept import Kept
from api.thumbnails import Thumbnails
from api.tokens import Tokens

Probe = Callable[[], Mapping[str, str | None]]
"""Tells how the parts beside this one are: part → None while it is well, else what is wrong, in words for anyone."""


MOST_WAITING = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The handlers' tools."""

    settings: Settings
    database: Database
    blobs: Blobs
    commands: Commands
    hints: Hints
    feed: Feed
    tokens: Tokens
    thumbnails: Thumbnails
    ready: Kept[dict[str, str]] = field(default_factory=lambda: Kept(keep_s=1.0))
    metrics: Kept[str] = field(default_factory=lambda: Kept(keep_s=5.0))
    probe: Probe
    version: str
    links: Links
    waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_WAITING))
    """How many presses may wait for their photo at one time; live streams are counted apart."""
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    """How many images may be read from the disk at one time: bounds threads and memory."""


async def _services(request: Request) -> Services:
    return request.app.state.services


Use = Annotated[Services, Depends(_services)]
