"""What a proxy can't do: packets that are lost, and a network that is gone without a word, under TCP itself.

It needs root and TUN devices; `test_bad_link` is for machines without.
"""

import asyncio
import contextlib
import os
import random

import pytest

pytestmark = pytest.mark.timeout(180)


@contextlib.asynccontextmanager
async def gone_now_and_then(air, seed: int, every_s: float):
    """Let nothing pass for a while, again and again; at the end all is well."""
    dice = random.Random(seed)
    times = []

    async def cut() -> None:
        while True:
            await asyncio.sleep(dice.uniform(0, every_s))
            air.cut()
            times.append(dice.uniform(0, every_s))
            await asyncio.sleep(times[-1])
            air.heal()

    cutting = asyncio.create_task(cut())
    try:
        yield times
    finally:
        cutting.cancel()
        await asyncio.wait({cutting})
        air.heal()


async def through_the_air(rig, radio, seed: int, photos: int, pause_s: float) -> None:
    air = radio(bits_per_s=4_000_000, delay_ms=10, loss=0.02, seed=seed)
    one = await rig(air=air)
    async with gone_now_and_then(air, seed, 20 * pause_s) as cuts:
        for _ in range(photos):
            await one.press()
            await asyncio.sleep(pause_s)
    assert len(cuts) >= photos // 40
    await one.empty(600)
    one.kept_the_promise(photos)


async def test_photos_through_air_that_loses_packets_and_goes_away(rig, radio):
    await through_the_air(rig, radio, 1, 20, 0.2)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_a_thousand_photos_through_the_air(rig, radio):
    await through_the_air(rig, radio, int(os.environ.get("SOAK_SEED", "600")), 1000, 0.25)
