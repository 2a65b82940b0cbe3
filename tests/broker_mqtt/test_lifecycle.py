"""Started, killed, started again: the port stays, what is retained comes back, and nobody is left behind."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import psutil
import pytest
import structlog

from aperture.settings import BrokerKind, MqttSettings, SettingsError
from aperture.store.database import Database
from broker.mqtt import (
    BrokerMissingError,
    BrokerStartError,
    FolderBusyError,
    MqttBroker,
    PortTakenError,
)

RUNNER = """
import asyncio, structlog, sys
from pathlib import Path
from aperture.settings import MqttSettings
from aperture.store.database import Database, sqlite_url
from broker.mqtt import MqttBroker

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main(folder: Path, kind: str) -> None:
    database = Database.open(sqlite_url(folder / "aperture.db"))
    settings = MqttSettings(host="127.0.0.1", port=0, broker=kind)
    async with MqttBroker(settings=settings, data_dir=folder, database=database) as broker:
        print(broker.port, broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _runs(pid: int | None) -> bool:
    """Whether the process is there and no zombie, which only waits for its new parent to look at it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def _parent(data_dir: Path, kind: BrokerKind) -> AsyncGenerator[tuple[asyncio.subprocess.Process, int, int]]:
    """Another process that runs a broker; its port and the broker's pid."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUNNER,
        str(data_dir),
        kind,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    pid = 0
    try:
        assert process.stdout is not None
        port, pid = map(int, (await asyncio.wait_for(process.stdout.readline(), 20)).split())
        yield process, port, pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if pid and _runs(pid):  # the test has failed: it must not leave what it complains of
            os.kill(pid, signal.SIGKILL)


async def _is(answer: bool) -> bool:
    return answer


async def test_port_0_takes_a_free_port_that_serves(house: Any, kind: BrokerKind) -> None:
    assert house.broker.kind == kind
    assert house.broker.host == "127.0.0.1"
    assert house.broker.port > 0
    assert _runs(house.broker.pid)


async def test_leaving_ends_the_broker(mqtt_settings: MqttSettings, data_dir: Path, database: Database) -> None:
    async with MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=database) as broker:
        port, pid = broker.port, broker.pid
        assert _open(port)
    assert not _open(port)
    assert pid is not None
    assert not _runs(pid)


async def test_retained_survives_an_orderly_restart(
    mqtt_settings: MqttSettings, data_dir: Path, database: Database
) -> None:
    for expected in (None, b"first", b"second"):
        async with MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=database) as broker:
            name, secret = await broker.server_credentials("bridge")
            async with aiomqtt.Client(broker.host, broker.port, username=name, password=secret) as client:
                await client.subscribe("aperture/porch/photo", qos=1)
                if expected is not None:
                    message = await asyncio.wait_for(anext(client.messages), 5)
                    assert (message.payload, message.retain) == (expected, True)
                await client.publish("aperture/porch/photo", b"second" if expected else b"first", qos=1, retain=True)


async def test_a_killed_broker_is_back_on_its_port_with_what_was_retained(
    house: Any, wait_until: Callable[..., Awaitable[float]]
) -> None:
    """kill -9 loses nothing that a client was told is published; twice, for the second restart is paced otherwise."""
    for round_number in (b"1", b"2"):
        async with house.listening(await house.server(), "aperture/porch/ack") as server:
            await server.client.publish("aperture/porch/photo", round_number, qos=1, retain=True)
            await server.client.publish("aperture/porch/ack", b"sentinel", qos=1)
            await server.until_heard("aperture/porch/ack")
            killed = house.broker.pid
            os.kill(killed, signal.SIGKILL)
            await server.until_closed()
        await house.admitted("phone")
        assert house.broker.pid != killed
        async with house.listening(house.client("phone"), "aperture/+/photo") as phone:
            assert (await phone.until_heard("aperture/porch/photo")).payload == round_number


async def test_what_waits_for_an_absent_client_survives_a_kill(house: Any) -> None:
    """A persistent session keeps its subscription and its messages."""
    session: dict[str, Any] = {"identifier": "phone", "clean_session": False}
    async with house.client("phone", **session) as phone:
        await phone.subscribe("aperture/+/photo", qos=1)
    async with house.listening(await house.server(), "aperture/porch/ack") as server:
        await server.client.publish("aperture/porch/photo", b"waits", qos=1)
        await server.client.publish("aperture/porch/ack", b"sentinel", qos=1)
        await server.until_heard("aperture/porch/ack")
        os.kill(house.broker.pid, signal.SIGKILL)
        await server.until_closed()
    await house.admitted("porch")
    async with house.listening(house.client("phone", **session)) as phone:
        assert (await phone.until_heard("aperture/porch/photo")).payload == b"waits"


async def test_an_account_added_while_the_broker_is_down_is_known_when_it_is_back(house: Any) -> None:
    os.kill(house.broker.pid, signal.SIGKILL)
    house.add("attic")
    await house.broker.refresh()
    await house.admitted("attic")


async def test_a_parent_killed_leaves_no_broker(
    kind: BrokerKind, data_dir: Path, wait_until: Callable[..., Awaitable[float]]
) -> None:
    """kill -9 of our process ends the broker: no port stays taken."""
    async with _parent(data_dir, kind) as (parent, port, pid):
        assert _open(port)
        parent.kill()
        await parent.wait()
        await wait_until(lambda: _is(not _runs(pid) and not _open(port)))


async def test_a_broker_that_hangs_when_its_parent_is_killed_is_ended_by_the_next_one(
    kind: BrokerKind, data_dir: Path, database: Database
) -> None:
    """Even one that can't take the signal neither keeps the port nor shares the store."""
    async with _parent(data_dir, kind) as (parent, port, pid):
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
        await parent.wait()
        settings = MqttSettings(host="127.0.0.1", port=port, broker=kind)
        async with MqttBroker(settings=settings, data_dir=data_dir, database=database) as broker:
            assert broker.port == port
            assert broker.pid != pid
            assert not _runs(pid)


async def test_one_broker_per_data_folder(house: Any, mqtt_settings: MqttSettings, data_dir: Path) -> None:
    """A second one is told who has the folder, and the first does not notice."""
    second = MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=house.database)
    with pytest.raises(FolderBusyError, match=str(os.getpid())):
        async with second:
            pass
    assert not await house.refused("porch")


async def test_a_taken_port_says_what_to_do(kind: BrokerKind, data_dir: Path, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = MqttSettings(host="127.0.0.1", port=port, broker=kind)
        with pytest.raises(PortTakenError, match=rf"{port} is taken by .*APERTURE_MQTT__PORT"):
            async with MqttBroker(settings=settings, data_dir=data_dir, database=database):
                pass
    async with MqttBroker(settings=settings, data_dir=data_dir, database=database) as broker:
        assert broker.port == port


async def test_an_address_that_is_not_ours_is_said_so(kind: BrokerKind, data_dir: Path, database: Database) -> None:
    settings = MqttSettings(host="192.0.2.1", port=0, broker=kind)
    with pytest.raises(BrokerStartError, match=r"192\.0\.2\.1"):
        async with MqttBroker(settings=settings, data_dir=data_dir, database=database):
            pass


async def test_a_broker_that_ends_at_once_is_quoted(kind: BrokerKind, data_dir: Path, database: Database) -> None:
    """The error has the child's own last lines."""
    own = data_dir / "mosquitto" / "conf.d" / "own.conf"
    if kind is not BrokerKind.MOSQUITTO:
        (data_dir / "nats").mkdir()
        (data_dir / "nats" / "jetstream").write_text("a file where a folder is wanted")
    else:
        own.parent.mkdir(parents=True)
        own.write_text("no_such_setting true\n")
    settings = MqttSettings(host="127.0.0.1", port=0, broker=kind)
    with pytest.raises(BrokerStartError, match=r"no_such_setting|storage directory"):
        async with MqttBroker(settings=settings, data_dir=data_dir, database=database):
            pass


async def test_a_broken_store_does_not_keep_the_broker_down(
    mqtt_settings: MqttSettings, data_dir: Path, database: Database, kind: BrokerKind
) -> None:
    """What a power cut left of the broker's own files is set aside; the parts put back what should be retained."""
    async with MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=database) as broker:
        name, secret = await broker.server_credentials("bridge")
        async with aiomqtt.Client(broker.host, broker.port, username=name, password=secret) as client:
            await client.publish("aperture/porch/photo", b"x", qos=1, retain=True)
    stores = [data_dir / "mosquitto" / "store" / "mosquitto.db"] if kind == "mosquitto" else _nats_files(data_dir)
    assert stores
    for store in stores:
        store.write_bytes(store.read_bytes()[:20] + b"torn")
    async with (
        MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=database) as broker,
        aiomqtt.Client(broker.host, broker.port, username=name, password=secret) as client,
    ):
        await client.publish("aperture/porch/photo", b"again", qos=1, retain=True)
        await client.subscribe("aperture/porch/photo", qos=1)
        message = await asyncio.wait_for(anext(client.messages), 5)
        assert message.payload == b"again"


def _nats_files(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "nats").rglob("*") if path.is_file() and path.suffix in {".blk", ".db"}]


async def test_an_external_broker_is_checked_and_left_alone(
    house: Any, data_dir: Path, database: Database, wait_until: Any
) -> None:
    """`external` runs nothing, lets in as the settings say, and leaves the broker running."""
    name, secret = await house.broker.server_credentials("bridge")
    settings = MqttSettings(
        host=house.broker.host, port=house.broker.port, broker=BrokerKind.EXTERNAL, username=name, password=secret
    )
    async with MqttBroker(settings=settings, data_dir=data_dir / "elsewhere", database=database) as broker:
        assert (broker.kind, broker.host, broker.port) == ("external", house.broker.host, house.broker.port)
        assert broker.pid is None
        assert await broker.server_credentials("api") == (name, secret)
        await broker.refresh()
    assert not await house.refused("porch")


async def test_an_external_broker_without_a_password_is_said_so(data_dir: Path, database: Database) -> None:
    settings = MqttSettings(host="127.0.0.1", port=1, broker=BrokerKind.EXTERNAL)
    with pytest.raises(SettingsError, match="APERTURE_MQTT__PASSWORD"):
        async with MqttBroker(settings=settings, data_dir=data_dir, database=database):
            pass


async def test_a_missing_program_is_named(data_dir: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.mqtt.server.find_program", lambda name: None)
    for kind, advice in (("mosquitto", "apt-get"), ("nats", "pip install"), ("auto", "apt-get")):
        with pytest.raises(BrokerMissingError, match=advice):
            MqttBroker(settings=MqttSettings(broker=BrokerKind(kind)), data_dir=data_dir, database=database)


async def test_auto_takes_mosquitto_where_it_is(data_dir: Path, database: Database, monkeypatch: Any) -> None:
    """And nats-server elsewhere."""
    for there, expected in (({"mosquitto", "nats-server"}, "mosquitto"), ({"nats-server"}, "nats")):
        monkeypatch.setattr("broker.mqtt.server.find_program", lambda name, t=there: Path("/x") if name in t else None)
        broker = MqttBroker(settings=MqttSettings(), data_dir=data_dir, database=database)
        assert broker.kind == expected


async def test_the_log_has_the_death_once_and_no_secret(
    house: Any, wait_until: Callable[..., Awaitable[float]]
) -> None:
    with structlog.testing.capture_logs() as logs:
        os.kill(house.broker.pid, signal.SIGKILL)
        await wait_until(lambda: _is(any(entry["event"] == "mqtt broker is back" for entry in logs)))
        assert await house.refused("porch", password="wrong")
    events = [entry["event"] for entry in logs]
    assert events.count("mqtt broker died: starting it again") == 1
    assert events.count("mqtt broker is back") == 1
    assert not any(secret in str(logs) for secret in house.secrets.values())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a child to another user")
async def test_started_as_root_mosquitto_runs_as_its_own_user(house: Any, kind: BrokerKind) -> None:
    """A broker on the LAN should not be root where the system has a user for it."""
    if kind is not BrokerKind.MOSQUITTO:
        pytest.skip("nats-server has no user of its own")
    assert psutil.Process(house.broker.pid).username() == "mosquitto"
