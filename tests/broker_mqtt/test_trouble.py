"""What goes wrong around a broker: a thief of its port, a disk that refuses, a process that hangs."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from aperture.settings import BrokerKind, MqttSettings
from aperture.store.database import Database
from broker.mqtt import BrokerStartError, MqttBroker, leash

Until = Callable[..., Awaitable[float]]


async def _is(answer: bool) -> bool:
    return answer


def _said(logs: Any, event: str) -> int:
    return sum(entry["event"] == event for entry in logs)


async def test_a_port_stolen_while_the_broker_is_down_is_waited_for(
    house: Any, wait_until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so once, tries on, and is back on the same port when that is free."""
    monkeypatch.setattr("broker.mqtt.supervisor._PAUSES_S", (0.6, 0.6))
    port = house.broker.port
    with structlog.testing.capture_logs() as logs:
        killed = psutil.Process(house.broker.pid)
        killed.kill()
        await wait_until(lambda: _is(house.broker.pid is None))
        with socket.create_server(("127.0.0.1", port)):
            await wait_until(lambda: _is(_said(logs, "mqtt broker does not start: trying on") == 1))
        await house.admitted("porch")
        await wait_until(lambda: _is(_said(logs, "mqtt broker is back") == 1))
    assert house.broker.port == port
    assert _said(logs, "mqtt broker does not start: trying on") == 1


async def test_accounts_that_can_not_be_written_are_tried_again(
    house: Any, data_dir: Path, kind: BrokerKind, wait_until: Until
) -> None:
    """The broker goes on with those it knows; nothing is forgotten."""
    name = {"mosquitto": ".passwords.new", "nats": ".nats-server.conf.new"}[kind]
    obstacle = data_dir / kind / name
    obstacle.mkdir()
    with structlog.testing.capture_logs() as logs:
        house.add("attic")
        await wait_until(lambda: _is(_said(logs, "mqtt broker can't be told of changed accounts: trying on") == 1))
    assert not await house.refused("porch")
    assert await house.refused("attic")
    obstacle.rmdir()
    await house.admitted("attic")


async def test_a_broker_that_does_not_stop_is_killed(
    mqtt_settings: MqttSettings, data_dir: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.mqtt.child._STOP_S", 0.3)
    async with MqttBroker(settings=mqtt_settings, data_dir=data_dir, database=database) as broker:
        pid = broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    assert not psutil.pid_exists(pid)


async def test_an_external_broker_that_refuses_us_is_said_so(
    house: Any, data_dir: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names address and account, and not the password."""
    monkeypatch.setattr("broker.mqtt.server._EXTERNAL_S", 0.5)
    settings = MqttSettings(
        host="127.0.0.1", port=house.broker.port, broker=BrokerKind.EXTERNAL, username="bridge", password="not-it"
    )
    with pytest.raises(BrokerStartError, match=f"{house.broker.port} does not let 'bridge' in") as caught:
        async with MqttBroker(settings=settings, data_dir=data_dir, database=database):
            pass
    assert "not-it" not in str(caught.value)


async def test_a_client_id_can_not_forge_a_line_of_the_log(house: Any) -> None:
    """Control characters in what a stranger sends do not reach the terminal of the one who reads."""
    with structlog.testing.capture_logs() as logs:
        await house.refused("stranger", identifier="x\x1b[2Jerror: all is lost", password="wrong")
        await house.refused("stra\x1bnger", password="wrong")
        async with house.listening(house.client("porch"), "aperture/porch/ack"):
            pass
    assert not any("\x1b" in str(entry.get("line")) or "\n" in str(entry.get("line")) for entry in logs)


async def test_the_leash_does_not_start_what_nobody_holds() -> None:
    """A parent killed between fork and exec leaves no broker, either."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(leash.__file__), "-1", "-", "/bin/echo", "ran",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out) == (1, b"")
    assert b"parent" in err


async def test_the_leash_becomes_the_program() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(leash.__file__), str(os.getpid()), "-", "/bin/echo", "ran",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out) == (0, b"ran\n")
