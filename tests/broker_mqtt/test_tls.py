"""MQTT over TLS beside the plain listener, on each broker; access, sessions and revocation over it are in their own modules."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import structlog

from aperture.settings import BrokerKind, MqttSettings
from aperture.store.database import Database
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.mqtt import BrokerStartError, MqttBroker, PortTakenError
from broker.mqtt import front as front_module


@pytest.fixture
def way() -> str:
    return "tls"


@asynccontextmanager
async def raw(house: Any) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection to the TLS port."""
    reader, writer = await asyncio.open_connection(house.broker.host, house.broker.tls_port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def shake(house: Any, context: ssl.SSLContext, name: str = "localhost") -> dict[str, Any]:
    """Shake hands with the broker; return its certificate."""
    opening = asyncio.open_connection(
        house.broker.host, house.broker.tls_port, ssl=context, server_hostname=name, ssl_shutdown_timeout=1
    )
    _, writer = await asyncio.wait_for(opening, 5)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return certificate


def trust_in(files: TlsFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files.ca_pem))


async def serial(house: Any) -> str:
    """The serial number of the certificate that a new connection gets."""
    return (await shake(house, trust_in(house.tls_files)))["serialNumber"]


async def test_both_listeners_are_one_broker(house: Any) -> None:
    """What is said over TLS is heard without it, and the other way round."""
    assert house.broker.tls_port not in {0, None, house.broker.port}
    async with (
        house.listening(house.client("phone", port=house.broker.port), "aperture/#") as plain,
        house.listening(house.client("porch"), "aperture/porch/command") as porch,
        house.client("shed", port=house.broker.port),
    ):
        await porch.client.publish("aperture/porch/status", b"{}", qos=0)
        await plain.until_heard("aperture/porch/status")
        async with await house.server() as server:
            await server.publish("aperture/porch/command", b"{}", qos=1)
        await porch.until_heard("aperture/porch/command")


async def test_another_ca_is_not_trusted(house: Any, tmp_path: Path) -> None:
    """A client that trusts another CA says nothing to this server; nor does one that expects another name."""
    other = TlsFiles(tmp_path / "other")
    authority.init(other, hosts=["localhost", "127.0.0.1"])
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake(house, trust_in(other))
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake(house, trust_in(house.tls_files), "elsewhere.local")
    async with house.client("porch"):
        pass


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions(house: Any, version: ssl.TLSVersion) -> None:
    """TLS 1.2, which MicroPython speaks, and newer; nothing older."""
    context = trust_in(house.tls_files)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if version is ssl.TLSVersion.TLSv1_1:
        with pytest.raises((ssl.SSLError, ConnectionError)):  # an alert, or an end without a word
            await shake(house, context)
    else:
        assert await shake(house, context)


CONNECT = b"\x10\x1f\x00\x04MQTT\x04\xc2\x00\x3c\x00\x05porch\x00\x05porch\x00\x05wrong"


@pytest.mark.parametrize("garbage", [CONNECT, b"\0" * 500, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b""])
async def test_garbage_at_the_tls_port(house: Any, garbage: bytes) -> None:
    """Plain MQTT, noise, half a handshake or nothing at all: others are served meanwhile and afterwards."""
    async with house.listening(house.client("phone"), "aperture/#") as phone, raw(house) as (reader, writer):
        for _ in range(3):
            writer.write(garbage)
        async with house.client("porch") as porch:
            await porch.publish("aperture/porch/status", b"{}", qos=1)
            await phone.until_heard("aperture/porch/status")
        writer.close()
        async with house.client("porch") as porch:
            await porch.publish("aperture/porch/reply", b"{}", qos=1)
            await phone.until_heard("aperture/porch/reply")
        with contextlib.suppress(OSError):
            assert b"\x20\x02\x00\x00" not in await reader.read()  # no CONNACK for what came in the clear


async def test_many_at_once(house: Any) -> None:
    """Fifty cameras shake hands at the same time; each is heard."""
    names = [f"camera-{number}" for number in range(50)]
    for name in names:
        house.add(name)
    await house.broker.refresh()
    await house.admitted(names[-1])

    async def speak(name: str) -> None:
        async with house.client(name, timeout=20) as camera:
            await camera.publish(f"aperture/{name}/status", b"{}", qos=1)

    async with house.listening(await house.server(), "aperture/+/status") as server:
        await asyncio.gather(*(speak(name) for name in names))
        await server.until(lambda: len(server.topics) == len(names))


async def test_a_large_message(house: Any) -> None:
    """A preview of 256 KiB passes, byte for byte."""
    preview = os.urandom(262_144)
    async with (
        house.listening(house.client("home"), "homeassistant/#") as home,
        await house.server() as server,
    ):
        await server.publish("homeassistant/camera/porch/image", preview, qos=1)
        assert (await home.until_heard("homeassistant/camera/porch/image")).payload == preview


async def test_a_renewed_certificate_is_taken_up(house: Any, wait_until: Any) -> None:
    """New connections get it without a restart, nobody who is connected notices, and a broken one is left alone."""
    async with house.listening(house.client("porch"), "aperture/porch/command") as porch:
        first, pid = await serial(house), house.broker.pid
        authority.init(house.tls_files, hosts=["localhost", "127.0.0.1"])

        async def renewed() -> bool:
            return await serial(house) != first

        await wait_until(renewed)
        second = await serial(house)
        with structlog.testing.capture_logs() as logs:
            house.tls_files.server_pem.write_text("hello")

            async def told() -> bool:
                await shake(house, trust_in(house.tls_files))
                return any("can't be taken up" in entry["event"] for entry in logs)

            await wait_until(told)
        assert await serial(house) == second
        async with await house.server() as server:
            await server.publish("aperture/porch/command", b"{}", qos=1)
        await porch.until_heard("aperture/porch/command")
        assert house.broker.pid == pid


async def test_the_tls_port_stays_when_the_broker_is_started_again(house: Any, wait_until: Any) -> None:
    """kill -9 ends the connections; the cameras find it where it was."""
    port = house.broker.tls_port
    async with house.listening(house.client("porch"), "aperture/porch/command") as porch:
        os.kill(house.broker.pid, signal.SIGKILL)
        await porch.until_closed()
    await house.admitted("porch")
    assert house.broker.tls_port == port


async def test_without_plain_mqtt(kind: BrokerKind, data_dir: Path, database: Database, tls_files: TlsFiles) -> None:
    """`mqtt.plain = false`: to others there is TLS alone; our own parts go on over the loopback."""
    authority.init(tls_files, hosts=["127.0.0.2"])
    settings = MqttSettings(host="127.0.0.2", port=0, tls_port=0, plain=False, broker=kind)
    async with MqttBroker(settings=settings, data_dir=data_dir, database=database) as broker:
        assert broker.host == "127.0.0.1"
        name, secret = await broker.server_credentials("bridge")
        login: dict[str, Any] = {"username": name, "password": secret}
        async with aiomqtt.Client("127.0.0.1", broker.port, **login):
            pass
        async with aiomqtt.Client("127.0.0.2", broker.tls_port, tls_context=trust_in(tls_files), **login):
            pass
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", broker.port)


async def test_no_start_without_a_certificate(kind: BrokerKind, data_dir: Path, database: Database) -> None:
    """It says what to run; and what to do about a certificate of no use."""
    settings = MqttSettings(host="127.0.0.1", port=0, tls_port=0, broker=kind)
    broker = MqttBroker(settings=settings, data_dir=data_dir, database=database)
    with pytest.raises(BrokerStartError, match=r"mqtt\.tls_port.*aperture tls init"):
        await broker.__aenter__()
    files = TlsFiles.of(data_dir)
    authority.init(files, hosts=["localhost"])
    files.server_key.write_text("hello")
    with pytest.raises(BrokerStartError, match=r"of no use.*aperture tls init"):
        await broker.__aenter__()
    assert broker.pid is None


@pytest.mark.usefixtures("tls_files")
async def test_a_tls_port_that_is_taken_is_said_so(kind: BrokerKind, data_dir: Path, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = MqttSettings(host="127.0.0.1", port=0, tls_port=other.getsockname()[1], broker=kind)
        broker = MqttBroker(settings=settings, data_dir=data_dir, database=database)
        with pytest.raises(PortTakenError, match="APERTURE_MQTT__TLS_PORT"):
            await broker.__aenter__()
    async with broker:  # nothing was left of the first try
        pass


@pytest.mark.parametrize("kind", [BrokerKind.NATS])
@pytest.mark.parametrize("part", [b"", b"\x16\x03\x01\x02\x00"])
async def test_a_handshake_that_hangs_has_an_end(house: Any, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    """Whoever says nothing, or not all, is given up after a while; the log tells, and counts rather than repeats."""
    monkeypatch.setattr(front_module, "_HANDSHAKE_S", 0.3)
    with structlog.testing.capture_logs() as logs:
        async with raw(house) as (reader, writer), asyncio.timeout(5):
            writer.write(part)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
    assert [entry["log_level"] for entry in logs if entry["event"] == "mqtt tls failed"] == ["warning"]


@pytest.mark.parametrize("kind", [BrokerKind.NATS])
async def test_a_client_that_does_not_read_is_given_up(
    house: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """It can't make us keep what it does not take, nor keep its connection."""
    monkeypatch.setattr(front_module, "_SLOW_S", 0.3)
    async with await house.server() as server, house.listening(house.client("home"), "homeassistant/#") as home:
        asyncio.get_running_loop().remove_reader(home.client._client.socket())
        with contextlib.suppress(aiomqtt.MqttError):
            for _ in range(100):
                await server.publish("homeassistant/x", bytes(262_000), qos=0)

        async def is_gone() -> bool:
            return sum(task.get_name().startswith("mqtt over tls from") for task in asyncio.all_tasks()) == 1

        await wait_until(is_gone)


@pytest.mark.parametrize("kind", [BrokerKind.NATS])
async def test_strangers_make_room(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and does not shake hands is turned out for those who come later, the first first; nobody else is."""
    monkeypatch.setattr(front_module, "_MOST_STRANGERS", 3)
    async with (
        house.listening(house.client("porch"), "aperture/porch/command") as porch,
        contextlib.AsyncExitStack() as stack,
    ):
        silent = [await stack.enter_async_context(raw(house)) for _ in range(8)]
        async with asyncio.timeout(5):
            for reader, _ in silent[:5]:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
        async with house.client("shed"), await house.server() as server:
            await server.publish("aperture/porch/command", b"{}", qos=1)
        await porch.until_heard("aperture/porch/command")
