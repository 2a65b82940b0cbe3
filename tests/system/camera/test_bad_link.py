"""Whatever the network does to a photo on its way, it is in the archive in the end: once, and whole.

`make soak` runs the long ones, each with its seed; SOAK_SEED=N runs one again.
"""

import asyncio
import os
import random

import pytest

from simulator.link import DATA, Cut, How, Quality, seeded_cuts

pytestmark = pytest.mark.timeout(400)
PHOTO_BYTES = 6_000
LEAK_BYTES = 60_000  # some garbage is there whenever one looks
PATIENCE_S = 300  # whose uploads break one after the other waits for half a minute between two tries
BAD = Quality(bits_per_s=4_000_000, delay_ms=10, stalls=0.02)


def seeds(*usual: int) -> list[int]:
    """Return the seeds to run."""
    return [int(os.environ["SOAK_SEED"])] if "SOAK_SEED" in os.environ else list(usual)


def plan_of(left: list[Cut]):
    """Cut one data connection after the other as listed, and then no more; what is used is taken from the list."""
    return lambda kind, _number: left.pop(0) if kind == DATA and left else None


def offsets(dice: random.Random, count: int) -> list[int]:
    """The first byte, the last, and some between."""
    return [0, 1, PHOTO_BYTES - 1, PHOTO_BYTES, *(dice.randrange(PHOTO_BYTES) for _ in range(count - 4))][:count]


async def uploads_reset(rig, seed: int, count: int) -> None:
    dice = random.Random(seed)
    cuts = [Cut(at=at, how=dice.choice([How.RESET, How.END])) for at in offsets(dice, count)]
    one = await rig(plan=plan_of(cuts))
    photos = await press_until_used(one, cuts)
    assert one.link.cuts.total() >= count // 2  # what is resumed has fewer bytes to go, and may end before its cut
    one.kept_the_promise(photos)


async def press_until_used(one, cuts: list[Cut]) -> int:
    """Take photos, three at once, until all the cuts were used. Returns how many."""
    photos = 0
    while cuts or not photos:
        for _ in range(3):
            await one.press()
        photos += 3
        await one.empty(PATIENCE_S)
    return photos


async def wifi_cut(rig, seed: int, count: int) -> None:
    dice = random.Random(seed)
    cuts = [Cut(at=at, how=How.SILENCE) for at in offsets(dice, count)]
    one = await rig(plan=plan_of(cuts))
    blinks: list[asyncio.Task[None]] = []

    async def blink() -> None:
        await one.camera.say("wifi down")
        await one.link.cut_all(How.SILENCE)
        await asyncio.sleep(dice.uniform(0, 0.3))
        await one.camera.say("wifi up")

    one.link.on_cut = lambda kind: blinks.append(asyncio.create_task(blink())) if kind == DATA else None
    photos = await press_until_used(one, cuts)
    await asyncio.gather(*blinks)
    assert len(blinks) >= count // 2  # a connection that was open meanwhile goes with the others
    one.kept_the_promise(photos)


async def replies_lost(rig, seed: int, count: int) -> None:
    """Cut control connections somewhere in what the server answers, a 226 among it."""
    dice = random.Random(seed)
    left = [Cut(at=dice.randrange(150, 700), how=How.RESET, up=False) for _ in range(count)]
    one = await rig()
    one.link.plan = lambda kind, _number: left.pop() if kind == "ftp" and left else None
    await one.link.cut_all(How.RESET)
    photos = 0
    while left:
        await one.press()
        photos += 1
        await one.empty()
    one.kept_the_promise(photos)


async def many_photos(one, photos: int, pause_s: float) -> None:
    """Press again and again; when all have gone there is as much memory as when the first few had."""
    before = 0
    for number in range(photos):
        if number == photos // 10:
            before = await one.heap_free()
        await one.press()
        await asyncio.sleep(pause_s)
    one.link.plan = None
    after = await one.heap_free()
    one.kept_the_promise(photos)
    assert after > before - LEAK_BYTES


async def test_an_upload_is_reset_at_many_offsets(rig):
    """By RST or FIN, at its first byte, its last, and some between."""
    await uploads_reset(rig, 1, 5)


async def test_wifi_is_cut_at_many_offsets_of_an_upload(rig):
    """Nothing passes from that byte on, and the camera sees its network go; the server is told nothing."""
    await wifi_cut(rig, 2, 5)


async def test_a_reply_that_is_lost_makes_no_second_photo(rig):
    """The camera can't know that it was stored, and asks or sends again."""
    await replies_lost(rig, 3, 2)


async def test_photos_through_a_bad_link(rig):
    """Slow, with late segments, and with one connection in five cut."""
    cuts = seeded_cuts(4, share=0.2, within=8_000)
    one = await rig(quality=BAD, seed=4)
    one.link.plan = lambda kind, number: plain(cuts(kind, number))
    await many_photos(one, 20, 0)


def plain(cut: Cut | None) -> Cut | None:
    """Return the same cut, told to both by RST: a silence takes the minute that the camera gives the server."""
    return None if cut is None else Cut(at=cut.at, up=cut.up)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", seeds(100, 101))
async def test_every_offset_in_the_soak(rig, seed):
    """A hundred cuts of each kind."""
    await uploads_reset(rig, seed, 100)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", seeds(200, 201))
async def test_wifi_is_cut_in_the_soak(rig, seed):
    await wifi_cut(rig, seed, 100)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", seeds(300, 301))
async def test_replies_are_lost_in_the_soak(rig, seed):
    await replies_lost(rig, seed, 100)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", seeds(400))
async def test_a_thousand_photos_through_a_bad_link(rig, seed):
    """Cut by RST, FIN and silence, told to both ends or to one."""
    one = await rig(quality=BAD, seed=seed)
    one.link.plan = seeded_cuts(seed, share=0.1, within=20_000)
    await many_photos(one, 1000, 0.2)
