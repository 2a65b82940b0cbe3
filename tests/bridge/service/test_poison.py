"""One row or message that nothing can be made of is that one's trouble, not everybody's, and not the server's."""

import asyncio
import threading

from structlog.testing import capture_logs

from aperture.clock import now_ms
from aperture.contract.messages import Do
from aperture.store import mailbox
from bridge.outbox.destination import Destination
from bridge.service import Bridge

CAMERA = "front-door"
FAR_MS = 2**60


def spoil(home, statement, *values) -> None:
    """Write what no part of the server writes."""
    home.archive.database.write(lambda connection: connection.exec_driver_sql(statement, values))


async def test_a_manifest_of_impossible_numbers_is_dropped_and_its_photo_posted(home, camera_on, until) -> None:
    """A stage of 285,000 years can be added to nothing: it is refused at the edge; the bytes speak for themselves."""
    with capture_logs() as logs:
        async with home.bridge() as bridge, camera_on() as camera:
            photo = home.archive.new_photo()
            await camera.say("shutter", photo.manifest(taken_at_ms=now_ms(), stage_ms={"captured": 2**53}))
            await until(lambda: [log for log in logs if log["event"] == "message dropped"])
            home.archive.store(photo)
            await until(lambda: home.archive.record(photo).stages.posted)
            assert bridge.ready.is_set()


async def test_a_photo_whose_record_can_not_be_made_is_set_aside(home, camera_on, until) -> None:
    """Its row holds what no record can: that is said in its delivery, and others are posted and told of."""
    bad, good = home.archive.new_photo(), home.archive.new_photo()
    home.archive.store(bad, hint=False)
    spoil(home, "UPDATE photo SET captured_ms = ?", FAR_MS)
    async with home.bridge() as bridge, camera_on() as camera:
        await until(lambda: (d := home.archive.delivery(bad)) and d.state == "set_aside")
        assert "captured" in home.archive.delivery(bad).error
        home.archive.store(good)
        await until(lambda: home.archive.record(good).stages.posted)
        await until(lambda: [body for body in camera.told("photo") if body and body["id"] == good.id])
        assert bridge.ready.is_set()
    assert home.discord.message_total == 1


async def test_an_event_that_can_not_be_told_is_skipped(home, camera_on, until) -> None:
    """It is logged once, the camera hears of its other photos, and nothing starts again."""
    bad, good = home.archive.new_photo(), home.archive.new_photo()
    with capture_logs() as logs:
        async with home.bridge(webhook=False), camera_on() as camera:
            home.archive.store(bad, hint=False)
            spoil(home, "UPDATE photo SET captured_ms = ?", FAR_MS)
            await camera.say("shutter", good.manifest())
            await until(lambda: camera.told("ack"))
            home.archive.store(good)
            await until(lambda: [body for body in camera.told("ack") if body.get("state") == "stored"])
            await until(lambda: [body for body in camera.told("photo") if body and body["id"] == good.id])
    assert len([log for log in logs if log["event"] == "an event can't be told"]) <= 1
    assert not [log for log in logs if "starts again" in log["event"]]


async def test_a_camera_that_says_it_wakes_in_a_million_years(home, camera_on, until) -> None:
    """It isn't believed, neither by the edge nor from an old row: who asks it for something gets a command that works."""
    async with home.bridge() as bridge, camera_on() as camera:
        await camera.say("sleep", {"phase": "going", "next_wake_ms": 2**53})
        spoil(home, "UPDATE camera SET presence = 'asleep', next_wake_at_ms = ?", FAR_MS)
        made = await home.archive.commands.make(camera=CAMERA, do=Do.SHUTTER, origin="test", now_ms=now_ms())
        await camera.say("presence", "online", retain=True)
        await until(lambda: [body for body in camera.told("command") if body["id"] == made.id])
        assert bridge.ready.is_set()


async def test_a_command_that_can_not_be_put_into_words_holds_up_no_other(home, camera_on, until) -> None:
    """It is cancelled; the next one is sent."""
    bad = await home.archive.commands.make(camera=CAMERA, do=Do.IDENTIFY, origin="test", now_ms=now_ms())
    spoil(home, "UPDATE command SET expires_at_ms = ?", FAR_MS)
    good = await home.archive.commands.make(camera=CAMERA, do=Do.IDENTIFY, origin="test", now_ms=now_ms())
    async with home.bridge() as bridge, camera_on() as camera:
        await until(lambda: camera.told("command"))
        assert {body["id"] for body in camera.told("command")} == {good.id}
        assert home.archive.database.read(lambda c: mailbox.get(c, bad.id)).state == "cancelled"
        assert bridge.ready.is_set()


async def test_a_bridge_that_breaks_starts_again_and_can_be_ended(home, until) -> None:
    """Whatever breaks it (here a row that says nonsense), what runs beside it goes on, and its end is heeded."""
    bridge = home.make()
    with capture_logs() as logs:
        task = asyncio.create_task(bridge.run())
        await asyncio.wait_for(bridge.ready.wait(), 5)
        spoil(home, "UPDATE camera SET presence = 'nonsense'")
        await until(lambda: [log for log in logs if log["event"] == "the bridge broke: it starts again"])
        assert not task.done()
        spoil(home, "UPDATE camera SET presence = 'offline'")
        await until(bridge.ready.is_set, timeout_s=10)
        spoil(home, "UPDATE camera SET presence = 'nonsense'")
        await until(lambda: not bridge.ready.is_set())
        task.cancel()
        await asyncio.wait_for(asyncio.wait([task]), 5)
    assert task.cancelled()


async def test_the_end_is_heeded_also_when_something_breaks_at_it(home, monkeypatch) -> None:
    """Cancelled, and broken while it ends: it must not start again."""

    async def fail_at_the_end(_self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("broken")

    monkeypatch.setattr("bridge.feed.Feed.run", fail_at_the_end)
    bridge: Bridge = home.make()
    task = asyncio.create_task(bridge.run())
    await asyncio.wait_for(bridge.ready.wait(), 5)
    task.cancel()
    await asyncio.wait_for(asyncio.wait([task]), 5)
    assert task.cancelled()


async def test_the_lanes_are_looked_at_by_the_loop_alone(home, until, monkeypatch) -> None:
    """They change with every answer: a reader's thread that walked through them could meet a change."""
    look, threads = Destination.open_lanes, []

    def seen(at):
        threads.append(threading.get_ident())
        return look(at)

    monkeypatch.setattr(Destination, "open_lanes", seen)
    async with home.bridge():
        photo = home.archive.new_photo()
        home.archive.store(photo, hint=False)
        await until(lambda: home.archive.record(photo).stages.posted)
        looks = len(threads)
        await until(lambda: len(threads) > looks + 5)  # while nothing happens
    assert set(threads) == {threading.get_ident()}
