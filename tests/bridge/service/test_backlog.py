"""A live photo never waits for a backlog, and a backlog goes out in the order in which it was taken."""

import time

from aperture.clock import now_ms
from simulator.discord.faults import Fault, FaultKind


async def test_a_live_photo_overtakes_two_hundred_that_wait(home, until) -> None:
    """Two hundred old photos take minutes at the channel's pace; one taken now is posted at once."""
    base_ms = now_ms() - 3_600_000
    old = [home.archive.new_photo() for _ in range(200)]
    for number, photo in enumerate(old):
        home.archive.store(photo, hint=False, received_ms=base_ms + number * 1000)
    async with home.bridge(discord={"channel_per_minute": 600}):
        await home.discord.wait_for_messages(3)
        live = home.archive.new_photo()
        started_s = time.monotonic()
        home.archive.store(live)
        await until(lambda: home.archive.record(live).stages.posted)
        assert time.monotonic() - started_s < 1.0
        assert home.discord.message_total < 40
        messages = await home.discord.wait_for_messages(12, timeout=10)
    shown = [message.attachments[0].data for message in messages]
    backlog = [data for data in shown if data != live.data]
    assert backlog == [photo.data for photo in old[: len(backlog)]]


async def test_a_third_of_the_channels_limit_is_left_for_live_photos(home, until) -> None:
    """The backlog keeps its distance: with thirty a minute, one goes in three seconds."""
    base_ms = now_ms() - 3_600_000
    for number in range(10):
        home.archive.store(home.archive.new_photo(), hint=False, received_ms=base_ms + number * 1000)
    async with home.bridge(discord={"channel_per_minute": 30}):
        await home.discord.wait_for_messages(2, timeout=8)
        first, second = [message.received_ns for message in home.discord.messages[:2]]
        assert second - first >= 2_900_000_000


async def test_a_slow_answer_holds_up_nobody_for_long(home, until) -> None:
    """A live photo whose answer is slow is passed by the next one."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=3000))
        slow, quick = home.archive.new_photo(), home.archive.new_photo()
        home.archive.store(slow)
        await home.discord.wait_for_messages(1)
        home.archive.store(quick)
        await until(lambda: home.archive.record(quick).stages.posted)
        assert not home.archive.record(slow).stages.posted
        await until(lambda: home.archive.record(slow).stages.posted)
    assert home.discord.message_total == 2
