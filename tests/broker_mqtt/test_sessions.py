"""Last wills, takeovers and what is retained."""

import socket
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
import pytest

SENTINEL = "aperture/shed/status"


@pytest.fixture(params=["plain", "tls"])
def way(request: pytest.FixtureRequest) -> str:
    """All of this holds over TLS, too."""
    return request.param


def _will(topic: str, payload: str = "offline", *, retain: bool = True) -> aiomqtt.Will:
    return aiomqtt.Will(topic, payload, qos=1, retain=retain)


def _cut(client: aiomqtt.Client) -> None:
    """End the connection without DISCONNECT, as a camera that loses its power."""
    sock = client._client.socket()
    assert sock is not None
    sock.shutdown(socket.SHUT_RDWR)


async def _connect_and_cut(client: aiomqtt.Client) -> None:
    async with client:
        _cut(client)
        with pytest.raises(aiomqtt.MqttError):
            await anext(client.messages)


async def test_a_cut_connection_sends_the_last_will(house: Any) -> None:
    """The will is told to who listens, and retained for who comes later."""
    async with house.listening(await house.server(), "aperture/+/presence") as server:
        await _connect_and_cut(house.client("porch", will=_will("aperture/porch/presence")))
        assert (await server.until_heard("aperture/porch/presence")).payload == b"offline"
    async with house.listening(house.client("phone"), "aperture/+/presence") as phone:
        assert (await phone.until_heard("aperture/porch/presence")).retain


async def test_silence_sends_the_last_will(house: Any) -> None:
    """A client that says nothing for one and a half times its keep-alive counts as gone (MQTT 3.1.1, 3.1.2.10)."""
    async with house.listening(await house.server(), "aperture/+/presence") as server:
        silent = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="porch")
        silent.username_pw_set("porch", house.secrets["porch"])
        silent.will_set("aperture/porch/presence", b"offline", qos=1)
        silent.connect(house.broker.host, house.broker.port, keepalive=1)
        for _ in range(100):  # CONNECT out, CONNACK in; no loop after that, so no ping either
            silent.loop(0.01)
            if silent.is_connected():
                break
        assert silent.is_connected()
        await server.until_heard("aperture/porch/presence")
        silent.loop(0.01)


@pytest.mark.parametrize("topic", ["aperture/shed/presence", "aperture/porch/ack", "aperture/server/status"])
async def test_a_last_will_forges_nothing(house: Any, topic: str) -> None:
    """A will obeys the rules of a message."""
    async with house.listening(await house.server(), "aperture/#") as server, house.client("shed") as shed:
        for will in (_will(topic, "forged"), _will(topic, "forged", retain=False)):
            try:
                await _connect_and_cut(house.client("porch", will=will))
            except aiomqtt.MqttError:  # a broker may refuse the connection for its will
                continue
        await _connect_and_cut(house.client("porch", will=_will("aperture/porch/presence")))
        await server.until_heard("aperture/porch/presence")
        await shed.publish(SENTINEL, b"done", qos=1)
        await server.until_heard(SENTINEL)
        assert server.topics == {"aperture/porch/presence", SENTINEL}


async def test_a_client_id_is_no_way_into_anothers_session(house: Any) -> None:
    """Under another's client id, a camera hears nothing of what is waiting there, or for it.

    mosquitto does not even end the other's connection; nats-server does (docs/brokers.md).
    """
    options: dict[str, Any] = {"identifier": "shed", "clean_session": False}
    async with house.listening(house.client("shed", **options), "aperture/shed/command") as shed:
        thief = house.client("porch", **options)
        async with house.listening(thief, "aperture/porch/ack") as porch, await house.server() as server:
            await server.publish("aperture/shed/command", b"for the shed", qos=1)
            if house.broker.kind == "mosquitto":
                await shed.until_heard("aperture/shed/command")
                assert not shed.closed
            else:
                await shed.until_closed()
            await server.publish("aperture/porch/ack", b"sentinel", qos=1)
            await porch.until_heard("aperture/porch/ack")
            assert porch.topics == {"aperture/porch/ack"}


async def test_waiting_messages_are_not_anothers(house: Any) -> None:
    """What is queued for an absent client stays hidden from one who comes under its id."""
    options: dict[str, Any] = {"identifier": "shed", "clean_session": False}
    async with house.client("shed", **options) as shed:
        await shed.subscribe("aperture/shed/command", qos=1)
    async with await house.server() as server:
        await server.publish("aperture/shed/command", b"for the shed", qos=1)
        async with house.listening(house.client("porch", **options), "aperture/porch/ack") as porch:
            await server.publish("aperture/porch/ack", b"sentinel", qos=1)
            await porch.until_heard("aperture/porch/ack")
            assert porch.topics == {"aperture/porch/ack"}


async def test_retained_is_told_to_who_comes_later_and_cleared_by_an_empty_one(house: Any) -> None:
    async with house.client("porch") as porch:
        await porch.publish("aperture/porch/status", b"{}", qos=0, retain=True)
        async with house.listening(house.client("phone"), "aperture/+/status") as phone:
            await phone.until_heard("aperture/porch/status", b"{}")
        await porch.publish("aperture/porch/status", b"", qos=1, retain=True)
        async with house.listening(house.client("phone"), "aperture/+/status", "aperture/+/reply") as phone:
            await porch.publish("aperture/porch/reply", b"sentinel", qos=1)
            await phone.until_heard("aperture/porch/reply")
            assert "aperture/porch/status" not in phone.topics
