"""One bridge acts at a time; the next takes over, and one that lost its lease stops."""

import asyncio
import time
from dataclasses import replace

import pytest

from aperture.clock import now_ms
from aperture.store import lease, outbox
from simulator.discord.faults import Fault, FaultKind


async def test_a_second_bridge_waits_and_takes_over(home, running, until) -> None:
    """While the first lives the second does nothing; within seconds of its end it serves."""
    second = home.make()
    async with home.bridge(), running(second):
        photos = [home.archive.new_photo() for _ in range(3)]
        for photo in photos:
            home.archive.store(photo)
        await home.discord.wait_for_messages(3)
        assert not second.ready.is_set()
        assert home.discord.message_total == 3
    second = home.make()
    first = home.make()
    async with running(first) as task:
        await asyncio.wait_for(first.ready.wait(), 5)
        async with running(second):
            task.cancel()
            started_s = time.monotonic()
            await asyncio.wait_for(second.ready.wait(), 5)
            assert time.monotonic() - started_s < 5
            photo = home.archive.new_photo()
            home.archive.store(photo)
            await until(lambda: home.archive.record(photo).stages.posted)
    assert home.discord.message_total == 4


async def test_the_lease_is_kept_until_the_last_post_has_ended(home, running, quick) -> None:
    """A bridge that ends waits longer for Discord's answer than its lease lasts: the next one does not send it again."""
    tuning = replace(quick, lease_ms=900, finish_s=3.0)  # as the defaults: the wait is the longer one
    first, second = home.make(tuning=tuning), home.make(tuning=tuning)
    home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=1800))
    photo = home.archive.new_photo()
    async with running(first) as task:
        await asyncio.wait_for(first.ready.wait(), 5)
        async with running(second):
            home.archive.store(photo)
            await home.discord.wait_for_messages(1)
            task.cancel()
            await asyncio.wait([task])
            assert home.archive.delivery(photo).state == "posted"
            await asyncio.wait_for(second.ready.wait(), 5)
    assert home.discord.message_total == 1
    assert home.archive.delivery(photo).uncertain == 0


async def test_a_bridge_whose_lease_is_taken_stops_acting(home, until) -> None:
    """Another holder in the row: nothing is claimed any more, and the bridge is not ready until it is free again."""
    async with home.bridge() as bridge:
        home.archive.database.write(
            lambda c: c.exec_driver_sql("UPDATE lease SET holder='another', until_ms=?", (now_ms() + 2000,))
        )
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await until(lambda: not bridge.ready.is_set())
        assert home.discord.message_total == 0
        await until(lambda: home.archive.record(photo).stages.posted, timeout_s=10)
        await until(bridge.ready.is_set)
        assert home.discord.message_total == 1


def test_a_lease_is_one_holders_until_it_ends(archive) -> None:
    def take(holder, at_ms):
        return archive.database.write(lambda c: lease.take(c, name="bridge", holder=holder, now_ms=at_ms, ttl_ms=1000))

    assert take("a", 0)
    assert not take("b", 999)
    assert take("a", 999)
    assert not take("b", 1998)
    assert take("b", 1999)
    archive.database.write(lambda c: lease.release(c, name="bridge", holder="a"))
    assert not take("a", 2000)
    archive.database.write(lambda c: lease.release(c, name="bridge", holder="b"))
    assert take("a", 2000)


@pytest.mark.parametrize("ahead_ms", [2001, 10**12])
def test_a_lease_of_a_clock_that_was_put_back_is_free(archive, ahead_ms) -> None:
    """No holder can have set an end that far ahead."""
    database = archive.database
    database.write(lambda c: lease.take(c, name="bridge", holder="a", now_ms=ahead_ms, ttl_ms=1000))
    assert database.write(lambda c: lease.take(c, name="bridge", holder="b", now_ms=0, ttl_ms=1000))


def test_without_the_lease_nothing_is_claimed(archive) -> None:
    """The claim itself looks at the lease, in its own transaction."""
    photo = archive.new_photo()
    archive.store(photo)
    database = archive.database

    def claim(holder):
        return database.write(lambda c: outbox.claim(c, target="discord:1", lease=("bridge", holder), now_ms=now_ms()))

    database.write(lambda c: outbox.fan_out(c, target="discord:1", after=0, now_ms=now_ms()))
    database.write(lambda c: lease.take(c, name="bridge", holder="a", now_ms=now_ms(), ttl_ms=60_000))
    assert claim("b") is None
    claimed = claim("a")
    assert (claimed.photo, claimed.attempts) == (photo.id, 1)
    assert claim("a") is None
