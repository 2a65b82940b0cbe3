"""A Discord stand-in per test and a client that calls it."""

from collections.abc import AsyncIterator, Callable

import pytest

from aperture.contract.messages import PhotoRecord, Stages
from bridge.discord.client import Deadlines, File, Message, WebhookClient
from bridge.discord.limiter import Limiter
from bridge.discord.render import photo_filename, render_photos
from bridge.discord.webhook import Webhook, parse_webhook_url
from simulator.discord.stand_in import DiscordStandIn

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 400 + b"\xff\xd9"


@pytest.fixture
async def discord() -> AsyncIterator[DiscordStandIn]:
    async with DiscordStandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def client(discord: DiscordStandIn) -> AsyncIterator[WebhookClient]:
    deadlines = Deadlines(connect_ms=1_000, reply_ms=400, slowest_bytes_per_s=100_000_000)
    limiter = Limiter(channel_per_minute=10_000)
    async with WebhookClient(limiter=limiter, api_base=discord.api_base, deadlines=deadlines) as one:
        yield one


@pytest.fixture
def webhook(discord: DiscordStandIn) -> Webhook:
    return parse_webhook_url(discord.webhook_url())


@pytest.fixture
def record() -> PhotoRecord:
    pressed = 1_763_800_000_000
    return PhotoRecord(
        id="a" * 26,
        camera="front-door",
        state="stored",
        origin="camera",
        trigger="button",
        taken_at_ms=pressed,
        bytes=len(JPEG),
        width=1600,
        height=1200,
        url="https://photos.example.org/p/" + "a" * 26 + ".jpg",
        stages=Stages(pressed=pressed, captured=pressed + 120, stored=pressed + 480),
    )


@pytest.fixture
def message_of() -> Callable[..., Message]:
    def make(*records: PhotoRecord, data: bytes = JPEG) -> Message:
        files = tuple(File(photo_filename(one), data) for one in records)
        return Message(render_photos(records), files)

    return make


@pytest.fixture
def photo(record: PhotoRecord, message_of: Callable[..., Message]) -> Message:
    return message_of(record)
