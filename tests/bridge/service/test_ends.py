"""How a bridge ends, and what it does while others are not there."""

import asyncio
import time
from dataclasses import replace

from structlog.testing import capture_logs

from simulator.discord.faults import Fault, FaultKind


async def test_a_post_on_its_way_may_finish(home) -> None:
    """Stopped while Discord thinks: the answer is waited for, and leaves no doubt behind."""
    home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=400))
    photo = home.archive.new_photo()
    async with home.bridge():
        home.archive.store(photo)
        await home.discord.wait_for_messages(1)
        assert home.archive.delivery(photo).state == "sending"
    assert home.archive.delivery(photo).state == "posted"
    assert home.archive.record(photo).stages.posted


async def test_the_end_is_not_waited_for_longer_than_its_bound(home, quick) -> None:
    """An answer that never comes does not keep the server from ending; the doubt stays in the row."""
    home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=8_000))
    photo = home.archive.new_photo()
    async with home.bridge(tuning=replace(quick, finish_s=0.3)):
        home.archive.store(photo)
        await home.discord.wait_for_messages(1)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 4
    assert home.archive.delivery(photo).state == "sending"


async def test_photos_are_posted_while_the_mqtt_broker_is_away(home, broker, running, until) -> None:
    """Discord does not wait for MQTT; that the broker is away is said once."""
    broker.kill()
    bridge = home.make()
    with capture_logs() as logs:
        async with running(bridge):
            photo = home.archive.new_photo()
            home.archive.store(photo)
            await until(lambda: home.archive.record(photo).stages.posted)
            assert not bridge.ready.is_set()
            await asyncio.sleep(0.5)  # several attempts to connect
            broker.start()
            await asyncio.wait_for(bridge.ready.wait(), 5)
    assert len([log for log in logs if log["event"].startswith("no connection to the MQTT broker")]) == 1


async def test_after_an_outage_photos_go_in_the_order_taken(home, until, quick) -> None:
    """Each photo paused longer and longer while Discord failed; once it works, all go at once, oldest first."""
    home.discord.misbehave(Fault(kind=FaultKind.FAIL_BEFORE, times=None))
    photos = [home.archive.new_photo() for _ in range(5)]
    async with home.bridge(tuning=replace(quick, retry_first_ms=60_000, retry_most_ms=60_000)):
        for photo in photos:
            home.archive.store(photo)
            await until(lambda photo=photo: (d := home.archive.delivery(photo)) and d.uncertain)
        home.discord.heal()
        live = home.archive.new_photo()
        home.archive.store(live)
        await home.discord.wait_for_messages(6, timeout=10)
    shown = [message.attachments[0].data for message in home.discord.messages]
    assert shown == [photo.data for photo in [live, *photos]]
