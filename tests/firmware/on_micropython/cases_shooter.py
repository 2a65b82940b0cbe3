"""From the press to the card: each press its own moment, whatever the card and the battery do."""

import asyncio
import time

from aa import files, log, photofiles
from booth import Booth
from helpers import JPEG, until


def _slow(pause_ms):
    """Have the card take its time for each photo. Returns the list of those that are written."""
    real, written = photofiles._write_picture, []

    async def write(path, frame):
        await asyncio.sleep_ms(pause_ms)
        digest = await real(path, frame)
        written.append(path)
        return digest

    photofiles._write_picture = write
    return written


def _photo(app, at):
    with app.queue.open(list(app.queue)[at]) as file:
        return file.read()


async def a_press_while_the_card_is_slow_gets_the_frame_of_its_moment():
    app = Booth()
    written = _slow(400)
    for number in range(3):
        app.sensor.frame = JPEG[:-2] + bytes((number,)) * 70_000 + JPEG[-2:]
        app.shutter.press("button")
        await asyncio.sleep_ms(60)
        if number < 2:
            assert len(written) == 0
    await until(lambda: len(app.queue) == 3)
    assert [_photo(app, at)[-3] for at in range(3)] == [0, 1, 2], "each is its own, whole, and in order"
    facts = [app.queue.facts(entry) for entry in app.queue]
    assert [one["seq"] for one in facts] == [1, 2, 3]
    captured = [one["stage_ms"]["captured"] for one in facts]
    assert max(captured[:2]) < 150, "two frames wait in RAM: a file takes 400"
    assert captured[2] > 200, "the third has to wait: the bound holds"
    assert facts[1]["stage_ms"]["queued"] > 300


async def no_photo_is_announced_before_it_is_written_down():
    app = Booth()
    found = []

    def say(_, facts):
        entry = app.queue.find(facts["photo"])
        found.append(entry and [files.exists(entry.base + ending) for ending in (photofiles.PICTURE, photofiles.FACTS)])

    app.say = say
    app.shutter.press("button")
    await until(lambda: not app.shutter.busy)
    assert found == [[True, True]]


async def without_ram_for_a_copy_the_sensor_waits_for_the_card():
    app = Booth()
    _slow(100)
    app.sensor.frame = JPEG

    class Full:
        def __len__(self):
            raise MemoryError

    app.shooter._rooms = [Full(), Full()]
    for _ in range(2):
        app.shutter.press("button")
    await until(lambda: len(app.queue) == 2 and not app.sensor.lock.locked())
    assert _photo(app, 0) == _photo(app, 1) == JPEG and len(app.shooter._rooms) == 2


async def a_press_is_over_though_there_is_no_ram_to_say_why_it_failed():
    app = Booth(works=False)

    def failed(cause):
        raise MemoryError

    app.face.failed = failed
    app.shutter.press("button")
    await until(app.running.done)
    assert not app.shutter.busy, "or the camera could never sleep"


async def what_ram_is_short_of_is_not_lost_as_well():
    from aa import shooter

    app = Booth()

    class Large:
        def __len__(self):
            return 1_000_000

    app.shooter._rooms = [Large(), Large()]
    shooter.memoryview = _no_ram
    for _ in range(3):
        app.shutter.press("button")
    await until(lambda: not app.shutter.busy)
    assert len(app.shooter._rooms) == 2 and len(app.queue) == 3


async def nor_is_the_photo_when_there_is_no_ram_to_say_so():
    app = Booth()

    class Full:
        def __len__(self):
            raise MemoryError

    app.shooter._rooms = [Full(), Full()]
    log.warning = _no_ram
    for _ in range(3):
        app.shutter.press("button")
    await until(lambda: not app.shutter.busy)
    assert len(app.shooter._rooms) == 2, "or the next press waits for one for ever"
    assert len(app.queue) == 3


async def a_frame_in_hand_waits_for_ram_to_be_written_down_with():
    """For some seconds, and then it gives way to the next."""
    from aa import shooter

    app = Booth()
    shooter._TRY_AGAIN_MS = 20
    real, fails = photofiles.write_facts, [3]

    def write_facts(path, facts):
        fails[0] -= 1
        if fails[0] >= 0:
            raise MemoryError
        real(path, facts)

    photofiles.write_facts = write_facts
    app.shutter.press("button")
    await until(lambda: not app.shutter.busy)
    assert len(app.queue) == len(app.said) == 1 and _photo(app, 0) == JPEG and app.resets == []
    fails[0] = 1_000
    app.shutter.press("command", "c1")
    await until(lambda: not app.shutter.busy)
    assert app.finished[0][:3] == ("c1", False, "no_photo") and len(app.queue) == 1
    fails[0] = 0
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 2)


def _no_ram(*_, **__):
    raise MemoryError


async def doubts_about_a_frame_go_with_the_photo():
    app = Booth()
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 1)
    app.sensor.labels = ["black"]
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 2)
    first, second = [app.queue.facts(entry) for entry in app.queue]
    assert "labels" not in first and second["labels"] == ["black"]


async def an_empty_battery_takes_no_photo_and_says_so():
    app = Booth()
    app.battery = "critical"
    for _ in range(4):
        app.shutter.press("command", "c1")
    await until(lambda: len(app.finished) == 4)
    assert app.finished[0][:3] == ("c1", False, "battery_empty") and len(app.queue) == 0
    assert app.resets == [], "that is no broken sensor"
    for app.battery in ("low", "ok", None):
        app.shutter.press("button")
        await until(lambda: not app.shutter.busy)
    assert len(app.queue) == 3


async def presses_wait_in_turn_and_too_many_are_counted():
    app = Booth()
    _slow(30)
    taken = [app.shutter.press("button") for _ in range(14)]
    assert taken.count(False) == app.shutter.discarded == 6
    await until(lambda: len(app.queue) == 8 and not app.shutter.busy)
    assert app.shooter._discarded == 6, "and told"


async def the_sensor_is_ready_before_the_first_press_unless_nobody_will_come():
    app = Booth()
    await until(lambda: app.sensor.settled == 1)
    app = Booth()
    app.woken_by = "timer"
    await asyncio.sleep_ms(50)
    assert app.sensor.opened == 0


async def the_led_is_lit_from_the_press_until_all_is_written():
    app = Booth()
    _slow(50)
    for _ in range(2):
        app.shutter.press("button")
    await until(lambda: len(app.queue) == 2 and not app.shutter.busy)
    await asyncio.sleep_ms(20)
    assert app.lit[0] is True and app.lit.count(False) == 1 and app.lit[-1] is False


async def what_a_photo_costs_is_estimated_from_how_long_its_parts_last():
    app = Booth()
    assert app.cost.uah is None
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 1)
    [entry] = app.queue
    entry.camera_ms, entry.send_ms = 1_800, 900
    app.cost.sent(entry)
    assert app.cost.uah == (1_800 * 100 + 900 * 200) // 3600
    app.cost.sent(entry)
    assert app.cost.uah == 100, "sent again it is not another photo"
    entry.camera_ms, entry.send_ms = 3_600, 1_800
    app.cost.sent(entry)
    assert 100 < app.cost.uah < 120, "a mean"


async def a_photo_that_woke_the_camera_costs_the_boot_as_well():
    app = Booth()
    app.woken_by = "press"
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 1 and not app.shutter.busy)
    [entry] = app.queue
    assert entry.camera_ms == 9_000 and entry.radio_ticks is not None
    await asyncio.sleep_ms(50)
    app.cost.sent(entry)
    assert app.cost.uah >= (9_000 * 100 + 50 * 200) // 3600
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 2)
    assert list(app.queue)[1].camera_ms < 5_000 and list(app.queue)[1].radio_ticks is None
    started = time.ticks_ms()
    assert time.ticks_diff(time.ticks_ms(), started) < 1_000
