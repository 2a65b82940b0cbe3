"""A stand-in per test, and a client that says of itself what Discord wants to hear."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from simulator.discord.stand_in import DiscordStandIn
from simulator.discord.webhooks import Webhook

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4 + b"\xff\xd9"

Post = Callable[..., Awaitable[tuple[int, Any, Any]]]


@pytest.fixture
def jpeg() -> bytes:
    return JPEG


@pytest.fixture
async def discord() -> AsyncIterator[DiscordStandIn]:
    async with DiscordStandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"User-Agent": "DiscordBot (https://example.org, 1.0)"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session
    await asyncio.sleep(0)


@pytest.fixture
def post(discord: DiscordStandIn, http: aiohttp.ClientSession) -> Post:
    """`await post(payload, files={0: (name, bytes)}, webhook=…, query=…)` → status, JSON or text, headers."""

    async def send(
        payload: object,
        *,
        files: dict[int, tuple[str, bytes]] | None = None,
        webhook: Webhook | None = None,
        query: str = "?wait=true",
        stand_in: DiscordStandIn = discord,
        message_id: str | None = None,
    ) -> tuple[int, Any, Any]:
        hook = webhook or stand_in.webhook
        url = f"{stand_in.api_base}/webhooks/{hook.id}/{hook.token}"
        method = "POST"
        if message_id is not None:
            method, url = "PATCH", f"{url}/messages/{message_id}"
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        form.add_field("payload_json", json.dumps(payload), content_type="application/json")
        for index, (name, data) in (files or {}).items():
            form.add_field(f"files[{index}]", io.BytesIO(data), filename=name, content_type="image/jpeg")
        async with http.request(method, url + query, data=form) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.text()), answer.headers

    return send
