"""Accounts come and go while the broker runs."""

import asyncio
import json
import stat
import time
from typing import Any

import pytest

from aperture.clock import now_ms
from aperture.settings import BrokerKind
from aperture.store import accounts
from broker.mqtt.mosquitto import own_user


@pytest.fixture(params=["plain", "tls"])
def way(request: pytest.FixtureRequest) -> str:
    """All of this holds over TLS, too."""
    return request.param


async def test_a_new_account_can_connect_within_a_second(house: Any, wait_until: Any) -> None:
    """Nobody has to call `refresh`, and nobody who is connected notices."""
    async with house.listening(house.client("phone"), "aperture/#") as phone:
        began = time.monotonic()
        house.add("attic")
        await house.admitted("attic")
        assert time.monotonic() - began < 1
        async with house.client("attic") as attic:
            await attic.publish("aperture/attic/status", b"{}", qos=1)
            await phone.until_heard("aperture/attic/status")


async def test_refresh_tells_at_once(house: Any) -> None:
    house.add("attic")
    await house.broker.refresh()
    await house.admitted("attic")


async def test_a_revoked_account_is_cut_off_and_stays_out(house: Any) -> None:
    """The live connection is closed, the others stay, and the name is refused."""
    async with (
        house.listening(house.client("shed"), "aperture/shed/ack") as shed,
        house.listening(house.client("porch"), "aperture/porch/ack") as porch,
    ):
        house.database.write(lambda c: accounts.revoke(c, name="porch", now_ms=now_ms()))
        await porch.until_closed()
        assert await house.refused("porch")
        async with await house.server() as server:
            await server.publish("aperture/shed/ack", b"still here", qos=1)
            await shed.until_heard("aperture/shed/ack")


async def test_a_rotated_account_is_cut_off_until_it_has_the_new_secret(house: Any) -> None:
    old = house.secrets["porch"]
    async with house.listening(house.client("porch"), "aperture/porch/ack") as porch:
        house.secrets["porch"] = house.database.write(lambda c: accounts.rotate(c, name="porch", now_ms=now_ms()))
        await porch.until_closed()
    assert await house.refused("porch", password=old)
    await house.admitted("porch")


async def test_changes_made_at_once_all_arrive(house: Any) -> None:
    """Changes that come while a reload is under way are not lost."""
    names = [f"camera-{number}" for number in range(20)]

    async def add(name: str) -> None:
        await asyncio.to_thread(house.add, name)
        await house.broker.refresh()

    await asyncio.gather(*(add(name) for name in names))
    for name in names:
        await house.admitted(name)


async def test_secrets_are_in_no_file_that_others_can_read(house: Any, data_dir: Any, kind: BrokerKind) -> None:
    """Of all that the broker needs, nothing but the parts' own secret files holds a secret; nothing is open to others."""
    house.add("attic")
    await house.broker.refresh()
    await house.broker.server_credentials("bridge")
    files = [path for part in (kind, "secrets") for path in (data_dir / part).rglob("*") if path.is_file()]
    assert len(files) > 4
    secrets = [secret.encode() for secret in house.secrets.values()]
    for path in files:
        inside = path.parent.stat().st_mode & 0o077 == 0
        assert inside or path.stat().st_mode & 0o077 == 0, path
        assert not any(secret in path.read_bytes() for secret in secrets), path
    # Started by root, mosquitto reads as its own group what it must not write.
    shared = kind is BrokerKind.MOSQUITTO and own_user() is not None
    assert stat.S_IMODE((data_dir / kind).stat().st_mode) == (0o750 if shared else 0o700)
    assert stat.S_IMODE((data_dir / "secrets").stat().st_mode) == 0o700


async def test_only_mqtt_is_spoken(house: Any, data_dir: Any, kind: BrokerKind) -> None:
    """nats-server's own protocol is closed to every account."""
    if kind is BrokerKind.NATS:
        conf = json.loads((data_dir / "nats" / "nats-server.conf").read_text())
        assert conf["listen"].startswith("127.0.0.1:")
        assert {tuple(user["allowed_connection_types"]) for user in conf["authorization"]["users"]} == {("MQTT",)}
