"""The bridge on the brokers that come with it, with their rights: the whole way, and back after kill -9."""

import asyncio
import contextlib
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import aiomqtt
import pytest

from aperture.clock import now_ms
from aperture.contract.messages import Presence
from aperture.settings import BrokerKind, MqttSettings
from aperture.store import accounts, cameras
from aperture.store.accounts import Role
from bridge.mqtt.link import MqttEndpoint
from broker.mqtt import BrokerMissingError, MqttBroker

CAMERA = "garage"


@asynccontextmanager
async def camera_at(broker, secret):
    """A camera with its own account, and what it hears."""
    heard: list[tuple[str, bytes]] = []
    async with aiomqtt.Client(broker.host, broker.port, username=CAMERA, password=secret, identifier=CAMERA) as client:
        for kind in ("command", "ack"):
            await client.subscribe(f"aperture/{CAMERA}/{kind}", qos=1)

        async def listen() -> None:
            async for message in client.messages:
                heard.append((str(message.topic), message.payload))  # noqa: PERF401 - seen as it comes

        ears = asyncio.create_task(listen())
        try:
            yield client, heard
        finally:
            ears.cancel()
            await asyncio.gather(ears, return_exceptions=True)


@pytest.mark.parametrize("kind", [BrokerKind.MOSQUITTO, BrokerKind.NATS])
async def test_the_whole_way_and_back_after_kill_9(kind, archive, make_home, discord, tmp_path, until) -> None:
    """Announced, stored, posted, acknowledged; the broker is killed, and manifests are answered again."""
    settings = MqttSettings(host="127.0.0.1", port=0, broker=kind)
    try:
        broker = MqttBroker(settings=settings, data_dir=tmp_path, database=archive.database)
    except BrokerMissingError as missing:
        pytest.skip(str(missing))
    secret = archive.database.write(lambda c: accounts.add(c, name=CAMERA, role=Role.CAMERA, now_ms=now_ms()))
    async with broker:
        name, password = await broker.server_credentials("bridge")
        home = make_home(discord)
        home.endpoint = MqttEndpoint(host=broker.host, port=broker.port, username=name, password=password)
        async with home.bridge():
            photo = archive.new_photo(camera=CAMERA)
            async with camera_at(broker, secret) as (client, heard):
                await client.publish(f"aperture/{CAMERA}/presence", "online", retain=True)
                await client.publish(f"aperture/{CAMERA}/shutter", photo.manifest())
                await until(lambda: [b"announced" in body for _, body in heard] == [True])
                archive.store(photo)
                await until(lambda: [b"stored" in body for _, body in heard] == [False, True])
                await discord.wait_for_messages(1)
            os.kill(broker.pid, signal.SIGKILL)
            async with asyncio.timeout(20):
                while True:
                    try:
                        async with camera_at(broker, secret) as (client, heard):
                            await client.publish(f"aperture/{CAMERA}/shutter", photo.manifest())
                            await until(lambda heard=heard: heard, timeout_s=1)
                            break
                    except (aiomqtt.MqttError, TimeoutError):
                        await asyncio.sleep(0.05)
            assert b"stored" in heard[0][1]
    row = archive.database.read(lambda c: cameras.get(c, CAMERA))
    assert row.presence is Presence.ONLINE
    assert discord.message_total == 1


async def retained(broker, login) -> set[str]:
    """Return the topics below `aperture/` that a newcomer is told at once, the server's own left out."""
    seen: set[str] = set()
    name, password = login
    async with aiomqtt.Client(broker.host, broker.port, username=name, password=password, identifier=name) as client:
        await client.subscribe("aperture/#", qos=1)
        await client.publish("aperture/mark/request", b"", qos=1)
        async for message in client.messages:
            if str(message.topic) == "aperture/mark/request":
                return seen - {"aperture/server/status"}
            if message.retain:
                seen.add(str(message.topic))
    return seen


@pytest.mark.parametrize("kind", [BrokerKind.MOSQUITTO, BrokerKind.NATS])
@pytest.mark.parametrize("served", [True, False], ids=["served", "unserved"])
async def test_a_revoked_camera_leaves_nothing_with_the_broker(kind, served, archive, make_home, discord, tmp_path):
    """Neither presence, status, last will nor photo: at once, or as soon as a bridge serves again; another's stay."""
    settings = MqttSettings(host="127.0.0.1", port=0, broker=kind)
    try:
        broker = MqttBroker(settings=settings, data_dir=tmp_path, database=archive.database)
    except BrokerMissingError as missing:
        pytest.skip(str(missing))
    write = archive.database.write
    secret = write(lambda c: accounts.add(c, name=CAMERA, role=Role.CAMERA, now_ms=now_ms()))
    async with broker:
        name, password = await broker.server_credentials("bridge")
        login = await broker.server_credentials("doctor")
        home = make_home(discord)
        home.endpoint = MqttEndpoint(host=broker.host, port=broker.port, username=name, password=password)

        async def keeps(topics: set[str]) -> None:
            async with asyncio.timeout(10):
                while await retained(broker, login) != topics:  # noqa: ASYNC110 - each look is a new subscription
                    await asyncio.sleep(0.05)

        mine = {f"aperture/{CAMERA}/{kind}" for kind in ("presence", "status", "photo")}
        will = aiomqtt.Will(f"aperture/{CAMERA}/presence", "offline", qos=1, retain=True)
        async with AsyncExitStack() as serving:
            await serving.enter_async_context(home.bridge())
            client = aiomqtt.Client(
                broker.host, broker.port, username=CAMERA, password=secret, identifier=CAMERA, will=will
            )
            with contextlib.suppress(aiomqtt.MqttError):  # it is thrown out
                async with client:
                    await client.publish(f"aperture/{CAMERA}/presence", "online", qos=1, retain=True)
                    await client.publish(f"aperture/{CAMERA}/status", "{}", qos=1, retain=True)
                    photo = archive.new_photo(camera=CAMERA)
                    await client.publish(f"aperture/{CAMERA}/shutter", photo.manifest())
                    archive.store(photo)
                    await keeps(mine)
                    if not served:
                        await serving.aclose()
                    write(lambda c: accounts.revoke(c, name=CAMERA, now_ms=now_ms()))
                    async for _ in client.messages:
                        pass
            if served:
                await keeps(set())
                return
        assert f"aperture/{CAMERA}/photo" in await retained(broker, login)  # nats-server drops the others by itself
        async with home.bridge():
            await keeps(set())
