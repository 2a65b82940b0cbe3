"""The watchdog is fed only while every part keeps its promise; a part that fails is started again."""

import asyncio
import time

from aa.pulse import Pulse
from aa.supervisor import Supervisor
from helpers import until


class Board:
    """Counts the feeds."""

    def __init__(self):
        self.started = self.feeds = 0

    def start_watchdog(self):
        self.started += 1

    def feed_watchdog(self):
        self.feeds += 1


async def _rest():
    await asyncio.sleep_ms(60_000)


def _run(board, *parts):
    return asyncio.create_task(Supervisor(board, feed_ms=20).run(parts))


async def _feeds_stop(board):
    count = -1
    while board.feeds != count:
        count = board.feeds
        await asyncio.sleep_ms(100)


async def a_part_that_spins_without_getting_anywhere_is_not_fed_for():
    board, pulse = Board(), Pulse()

    async def spin():
        pulse.within(200)
        while True:
            await asyncio.sleep_ms(0)

    running = _run(board, ("spinner", spin, pulse), ("other", _rest, None))
    await until(lambda: board.feeds > 3)
    assert board.started == 1 and not pulse.is_late()
    await asyncio.wait_for(_feeds_stop(board), 3)
    assert pulse.is_late()
    running.cancel()


async def a_long_wait_that_was_announced_is_no_hang():
    board, patient, idle = Board(), Pulse(), Pulse()

    async def wait():
        patient.within(60_000)
        await asyncio.sleep_ms(60_000)

    async def rest():
        idle.within(100)
        idle.rest()
        await asyncio.sleep_ms(60_000)

    running = _run(board, ("patient", wait, patient), ("idle", rest, idle))
    await asyncio.sleep_ms(500)
    assert board.feeds >= 10
    running.cancel()


async def a_part_that_comes_back_in_time_is_fed_for_again():
    board, pulse = Board(), Pulse()

    async def part():
        pulse.within(50)
        await asyncio.sleep_ms(400)
        pulse.within(10_000)
        await asyncio.sleep_ms(10_000)

    running = _run(board, ("part", part, pulse))
    await asyncio.sleep_ms(300)
    count = board.feeds
    assert pulse.is_late()
    await until(lambda: board.feeds > count + 3)
    running.cancel()


async def nobody_is_late_because_the_whole_chip_stood_still():
    board, pulse = Board(), Pulse()

    async def part():
        while True:
            pulse.within(6_000)
            await asyncio.sleep_ms(50)

    running = _run(board, ("part", part, pulse))
    await asyncio.sleep_ms(100)
    time.sleep_ms(6_200)  # as in light sleep
    count = board.feeds
    await until(lambda: board.feeds > count, 200)
    assert not pulse.is_late()
    running.cancel()


async def a_part_that_fails_is_started_again_and_what_it_promised_is_void():
    board, pulse, starts = Board(), Pulse(), []

    async def fail():
        starts.append(time.ticks_ms())
        pulse.within(1)
        await asyncio.sleep_ms(5)
        raise ValueError("a bug")

    running = _run(board, ("part", fail, pulse))
    await until(lambda: len(starts) == 3, 8_000)
    await asyncio.sleep_ms(50)
    assert not pulse.is_late() and time.ticks_diff(starts[2], starts[1]) > time.ticks_diff(starts[1], starts[0]) // 2
    running.cancel()


async def it_ends_when_all_parts_have():
    async def short():
        pass

    await asyncio.wait_for(Supervisor(Board(), feed_ms=10).run((("a", short, None), ("b", short, Pulse()))), 1)
