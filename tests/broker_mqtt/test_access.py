"""Who may say and hear what, on each broker, as a hostile neighbour with a camera's account would try it."""

from typing import Any

import aiomqtt
import pytest

FROM_CAMERA = ("presence", "status", "shutter", "sleep", "reply")
TO_CAMERA = ("command", "ack", "photo")
SENTINEL = "aperture/porch/status"


@pytest.fixture(params=["plain", "tls"])
def way(request: pytest.FixtureRequest) -> str:
    """All of this holds over TLS, too."""
    return request.param


async def test_nobody_comes_in_without_an_account(house: Any) -> None:
    """Anonymous, unknown, wrong and empty passwords are refused."""
    async with house.client("porch"):
        pass
    assert await house.refused("porch", password="wrong")
    assert await house.refused("porch", password="")
    assert await house.refused("stranger", password=house.secrets["porch"])
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(house.broker.host, house.broker.port, timeout=5):
            pass


async def test_an_account_for_ftp_alone_has_no_mqtt(house: Any) -> None:
    secret = house.add("ipcam", ftp_only=True)
    house.add("later")
    await house.admitted("later")  # so the broker has heard of both
    assert await house.refused("ipcam", password=secret)


async def test_a_camera_is_heard_on_its_own_topics(house: Any) -> None:
    """What it publishes reaches server, reader and operator."""
    async with (
        house.listening(await house.server(), "aperture/#") as server,
        house.listening(house.client("phone"), "aperture/#") as reader,
        house.listening(house.client("home"), "aperture/#") as operator,
        house.client("porch") as porch,
    ):
        for kind in FROM_CAMERA:
            await porch.publish(f"aperture/porch/{kind}", kind, qos=0)
        for ear in (server, reader, operator):
            await ear.until_heard("aperture/porch/reply")
            assert ear.topics == {f"aperture/porch/{kind}" for kind in FROM_CAMERA}


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("retain", [False, True])
async def test_a_camera_forges_nothing(house: Any, qos: int, retain: bool) -> None:
    """It can't say what the server, an operator or another camera says, nor touch the broker's own subjects."""
    forged = [f"aperture/porch/{kind}" for kind in (*TO_CAMERA, "request")]
    forged += [f"aperture/shed/{kind}" for kind in (*FROM_CAMERA, *TO_CAMERA, "request")]
    forged += ["aperture/server/status", "aperture", "homeassistant/device/x/config", "elsewhere"]
    forged += ["$MQTT/rmsgs/aperture/shed/ack", "$MQTT/msgs/aperture/shed/ack", "aperture//porch/ack"]
    async with (
        house.listening(await house.server(), "aperture/#", "homeassistant/#") as server,
        house.listening(house.client("shed"), *(f"aperture/shed/{kind}" for kind in TO_CAMERA)) as shed,
        house.client("porch") as porch,
    ):
        for topic in forged:
            await porch.publish(topic, b"forged", qos=qos, retain=retain)
        await porch.publish(SENTINEL, b"done", qos=qos)
        await server.until_heard(SENTINEL)
        assert server.topics == {SENTINEL}
        await server.client.publish("aperture/shed/ack", b"real", qos=1)
        assert (await shed.until_heard("aperture/shed/ack")).payload == b"real"
        assert len(shed.heard) == 1
    async with house.listening(await house.server(), "aperture/#", "homeassistant/#") as later:
        await later.client.publish("aperture/shed/ack", b"end", qos=1)
        await later.until_heard("aperture/shed/ack")
        assert b"forged" not in {message.payload for message in later.heard}


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_camera_hears_its_own_alone(house: Any, qos: int) -> None:
    """Neither live nor retained, neither by name nor by wildcard, does it hear what isn't for it."""
    async with await house.server() as server, house.client("shed") as shed:
        for kind in (*FROM_CAMERA, *TO_CAMERA):
            await server.publish(f"aperture/shed/{kind}", b"retained", qos=1, retain=True)
        for kind in (*FROM_CAMERA, "photo"):
            await server.publish(f"aperture/porch/{kind}", b"own", qos=1, retain=True)
        await server.publish("homeassistant/status", b"online", qos=1, retain=True)
        nosy = ("#", "+/+/+", "aperture/#", "aperture/+/status", "aperture/+/photo", "aperture/shed/#", "$MQTT/#")
        nosy += (
            "aperture/shed/photo",
            "aperture/porch/#",
            "aperture/porch/status",
            "homeassistant/#",
            "$SYS/#",
            "$JS/#",
        )
        async with house.listening(house.client("porch"), *nosy, qos=qos) as porch:
            for kind in TO_CAMERA:
                await porch.client.subscribe(f"aperture/porch/{kind}", qos=qos)
            await shed.publish("aperture/shed/status", b"live", qos=qos)
            for kind in TO_CAMERA:
                await server.publish(f"aperture/shed/{kind}", b"live", qos=1)
            await server.publish("aperture/porch/ack", b"sentinel", qos=1)
            await porch.until_heard("aperture/porch/ack")
            assert porch.topics <= {f"aperture/porch/{kind}" for kind in TO_CAMERA}
            assert "aperture/porch/photo" in porch.topics


async def test_a_reader_only_reads(house: Any) -> None:
    async with (
        house.listening(await house.server(), "aperture/#", "homeassistant/#") as server,
        house.client("phone") as phone,
        house.client("porch") as porch,
    ):
        for topic in ("aperture/porch/request", "aperture/porch/command", "aperture/server/status", "homeassistant/x"):
            await phone.publish(topic, b"no", qos=1)
        await porch.publish(SENTINEL, b"done", qos=1)
        await server.until_heard(SENTINEL)
        assert server.topics == {SENTINEL}


async def test_an_operator_asks_and_owns_home_assistants_topics(house: Any) -> None:
    """It reaches `request` of each camera and homeassistant/#, and nothing else."""
    async with (
        house.listening(await house.server(), "aperture/#", "homeassistant/#") as server,
        house.listening(house.client("home"), "aperture/#", "homeassistant/#") as home,
    ):
        for topic in (
            "aperture/porch/command",
            "aperture/porch/ack",
            "aperture/server/status",
            "aperture/porch/status",
        ):
            await home.client.publish(topic, b"no", qos=1)
        await home.client.publish("homeassistant/status", b"online", qos=1)
        await home.client.publish("aperture/porch/request", b"shutter", qos=1)
        await server.until_heard("aperture/porch/request")
        await server.until_heard("homeassistant/status")
        assert server.topics == {"aperture/porch/request", "homeassistant/status"}
        await server.client.publish("homeassistant/device/porch/config", b"{}", qos=1, retain=True)
        await home.until_heard("homeassistant/device/porch/config")


async def test_the_server_says_everything(house: Any) -> None:
    async with (
        house.listening(house.client("porch"), *(f"aperture/porch/{kind}" for kind in TO_CAMERA)) as porch,
        house.listening(house.client("phone"), "aperture/#") as phone,
        await house.server() as server,
    ):
        for kind in TO_CAMERA:
            await server.publish(f"aperture/porch/{kind}", kind, qos=1)
        await server.publish("aperture/server/status", b"online", qos=1, retain=True)
        for kind in TO_CAMERA:
            await porch.until_heard(f"aperture/porch/{kind}")
        await phone.until_heard("aperture/server/status")


async def test_another_root_is_another_house(house: Any) -> None:
    """Access is below the root that the settings name, for the server, too."""
    async with house.listening(await house.server(), "aperture/#", "other/#") as server:
        await server.client.publish("other/porch/command", b"no", qos=1)
        await server.client.publish("aperture/porch/command", b"yes", qos=1)
        await server.until_heard("aperture/porch/command")
        assert server.topics == {"aperture/porch/command"}


async def test_a_server_account_made_later_is_known_at_once(house: Any) -> None:
    """`server_credentials` returns when the broker has been told."""
    name, secret = await house.broker.server_credentials("helper")
    house.secrets[name] = secret
    await house.admitted(name)
