"""The end of a run: asleep or reset, with nothing left on and no press left behind."""

import asyncio
import time

import esp32
import machine

from aa.app import App
from aa.battery import ShotCost
from aa.power import Power
from aa.shutter import Shutter
from booth import Booth
from helpers import JPEG, PHOTOS, Face, break_writes, facts_of, open_queue, photos_in, until


class Camera:
    """The parts that are switched off, on a real shutter; `done` is what was done to them, in order."""

    def __init__(self, kind="touch"):
        profile = {"touch": {"percent": 70, "wake": "touch"}, "button": {"active": 0, "wake": "ext0"}}[kind]
        profile.update({"kind": kind, "pin": 12})
        self.shutter = Shutter(profile)
        self.wifi = self.display = self.sensor = self.board = self
        self.done, self.broken, self.during = [], (), {}
        self.power = Power(self)
        machine.reset = self._reset

    def _do(self, what):
        self.during.pop(what, lambda: None)()
        if what in self.broken:
            raise OSError(5)
        self.done.append(what)

    def stop(self):
        self._do("wifi")

    def off(self):
        self._do("display")

    def light_sleep(self, wake_ms):
        self._do("doze {}".format(wake_ms))
        return "press" if wake_ms == 1 else "timer"

    def close(self):
        self._do("sensor")

    def deep_sleep(self, wake_ms):
        self._do("sleep {}".format(wake_ms))

    async def leave(self, presence, grace_ms):
        self._do("leave")

    def _reset(self):
        self._do("reset")


def everything_is_off_before_it_sleeps():
    camera = Camera()
    camera.power.deep_sleep(7)
    assert sorted(camera.done[:3]) == ["display", "sensor", "wifi"] and camera.done[3:] == ["sleep 7"]


def what_cannot_be_switched_off_keeps_nothing_else_on():
    for broken in ("wifi", "display", "sensor"):
        camera = Camera()
        camera.broken = (broken,)
        camera.power.deep_sleep(7)
        assert len(camera.done) == 3 and camera.done[-1] == "sleep 7"


def a_press_on_the_way_into_sleep_is_seen():
    for kind in ("button", "touch"):
        for when in ("wifi", "display", "sensor"):
            camera = Camera(kind)
            camera.during[when] = lambda camera=camera: _press(camera.shutter)
            camera.power.deep_sleep(7)
            assert camera.shutter.busy and "sleep 7" not in camera.done


def _press(shutter):
    if shutter.kind == "touch":
        shutter._pad._level = 200
    else:
        shutter._pin.value(0)
        shutter._edge(shutter._pin)


async def a_press_that_ends_light_sleep_is_taken_and_the_sensor_stays_ready():
    camera = Camera("button")
    assert camera.power.light_sleep(7) == "timer" and not camera.shutter.busy
    assert camera.done == ["wifi", "display", "doze 7"]
    assert camera.power.light_sleep(1) == "press" and camera.shutter.busy
    assert (await camera.shutter.wait()).trigger == "button"
    camera.done = []
    assert camera.power.light_sleep(7) == "press", "a picture is being taken"
    assert camera.done == []


async def after_light_sleep_the_button_is_a_button_again_and_its_bounce_no_second_press():
    camera = Camera("button")
    pin, taken_back = camera.shutter._pin, []
    pin.init = lambda *how: taken_back.append(how)
    assert camera.power.light_sleep(7) == "timer"
    assert taken_back == [(pin.IN, pin.PULL_UP)], (
        "an ESP32 leaves a pin that may wake it to its RTC: no interrupt comes"
    )
    _press(camera.shutter)
    assert camera.shutter.busy, "right after it woke by itself"
    await camera.shutter.wait()
    camera.shutter.done()
    pin.value(1)
    camera.shutter._edge(pin)
    await asyncio.sleep_ms(60)
    assert camera.power.light_sleep(1) == "press" and len(taken_back) == 2
    _press(camera.shutter)
    await camera.shutter.wait()
    camera.shutter.done()
    assert not camera.shutter.busy


def no_light_sleep_outlasts_the_ticks():
    camera = Camera("button")
    for wake_ms in (0, 7 * 86_400_000):
        camera.power.light_sleep(wake_ms)
    assert [what for what in camera.done if what.startswith("doze")] == ["doze {}".format(5 * 86_400_000)] * 2


def it_is_armed_before_anything_is_off():
    camera = Camera("button")
    armed = []
    esp32.wake_on_ext0 = lambda *_: armed.append(list(camera.done))
    camera.power.deep_sleep(7)
    assert armed == [[]]


async def a_picture_being_taken_keeps_everything_on():
    camera = Camera()
    camera.shutter.press("touch")
    await camera.shutter.wait()
    camera.power.deep_sleep(7)
    assert camera.done == []


async def a_reset_waits_for_the_photos_of_presses_before_it():
    camera = Camera()
    camera.shutter.press("touch")
    rebooting = asyncio.create_task(camera.power.reboot())
    await camera.shutter.wait()
    await asyncio.sleep_ms(150)
    assert camera.done == []
    camera.during["leave"] = lambda: camera.shutter.press("touch")
    camera.shutter.done()
    await until(lambda: camera.done)
    await camera.shutter.wait()
    await asyncio.sleep_ms(150)
    assert camera.done == ["leave"], "one that came meanwhile is a photo as well"
    camera.shutter.done()
    await rebooting
    assert camera.done == ["leave", "reset"]


async def a_reset_waits_for_as_long_as_photos_get_written_down():
    """However slow the card is, and however many presses wait: all of them together take longer than one may."""
    from aa import power

    power._STILL_MS = 200
    camera = Camera()
    for _ in range(4):
        camera.shutter.press("touch")
    starting = asyncio.create_task(camera.power.start_anew())
    for _ in range(4):
        await camera.shutter.wait()
        await asyncio.sleep_ms(120)
        assert camera.done == [], "a photo is cut off"
        camera.shutter.done()
    await starting
    assert camera.done == ["reset"]


async def nobody_who_waits_for_photos_promises_the_watchdog_when():
    """It would bite in the middle of them; a part that hangs with one has a promise of its own."""
    from aa.commands import Commands

    app = Booth()
    app.journal = app
    app.interrupted = list
    rested, commands = [], Commands(app)
    commands.finish = lambda *_: None

    async def reboot(_):
        rested.append(not commands.pulse.is_late())

    app.reboot = reboot
    commands.pulse.within(-1)
    await commands._do_reboot("c1", {})
    assert rested == [True]


async def a_reset_comes_though_a_shot_hangs_or_the_good_bye_breaks():
    """It waits as long as one press may take: a minute for its frame, and one for the card."""
    from aa import power, shooter

    assert power._STILL_MS >= 2 * shooter._PHOTO_MS
    power._STILL_MS = 100
    camera = Camera()
    camera.broken = ("leave",)
    camera.shutter.press("touch")
    await camera.power.reboot()
    assert camera.done == ["reset"]


async def a_card_that_dies_costs_no_photo_and_is_started_anew():
    app = Booth()
    break_writes("card")
    for command in ("c1", "c2", None):
        app.shutter.press("command", command)
    await until(lambda: app.resets and not app.shutter.busy)
    assert len(app.resets) == 1 and photos_in("flash/photos") == app.said and len(app.said) == 3
    assert [entry.seq for entry in app.queue] == [1, 2, 3] and app.finished == [("c1", True), ("c2", True)]


async def a_broken_flash_is_started_anew_after_three_photos():
    app = Booth(card=False)
    break_writes("flash")
    for count in range(3):
        assert app.resets == []
        app.shutter.press("command", "c{}".format(count))
        await until(lambda: not app.shutter.busy)
    await until(lambda: app.resets)
    assert [words[2] for words in app.finished] == ["no_photo"] * 3


async def a_full_camera_is_no_failure():
    app = Booth()
    for shelf in app.queue._shelves:
        shelf._most = 0
    for count in range(4):
        app.shutter.press("command", "c{}".format(count))
    await until(lambda: len(app.finished) == 4)
    assert [words[2] for words in app.finished] == ["storage_full"] * 4 and app.resets == []
    assert sorted(app.face.told) == ["failed StorageFull"] * 4 + ["pressed"] * 4


async def presses_during_the_good_bye_are_still_taken():
    app = Booth(works=False)
    for _ in range(3):
        app.shutter.press("button")
    await until(lambda: app.resets)
    app.sensor.works = True
    app.shutter.press("button")
    await until(lambda: len(app.queue) == 1 and not app.shutter.busy)
    assert len(app.resets) == 1 and not app.running.done()


async def a_marker_that_cannot_be_renamed_costs_no_ftp_session():
    app = object.__new__(App)
    app.queue, app.face = open_queue("card"), Face()
    app.cost, app.shutter = ShotCost({"camera": 1, "send": 1}), Camera().shutter
    entry = await app.queue.add(memoryview(JPEG), facts_of(1, PHOTOS[0]), time.ticks_ms())

    def broken(*_, **__):
        raise OSError(5)

    app.queue.mark = broken
    app._on_delivered(entry)
    assert not entry.delivered and app.face.told == ["delivered 1"]


async def garbage_is_collected_once_a_photo_has_left():
    from aa import app as module

    class Counted:
        times = 0

        def collect(self):
            Counted.times += 1

    module.gc = Counted()
    app = object.__new__(App)
    app.queue, app.face = open_queue("card"), Face()
    app.cost, app.shutter = ShotCost({"camera": 1, "send": 1}), Camera().shutter
    for seq in (1, 2):
        entry = await app.queue.add(memoryview(JPEG), facts_of(seq, PHOTOS[seq]), time.ticks_ms())
        app._on_delivered(entry)
        assert Counted.times == 1, "not while the next is being taken"
        app.shutter.press("touch")
        await app.shutter.wait()


def what_was_refused_keeps_no_camera_awake():
    class Part:
        busy, state, is_counted, has_hope = False, "up", True, True

    app = object.__new__(App)
    app.commands = app.shutter = app.updater = app.wifi = app.queue = Part()
    assert app.is_busy()
    Part.has_hope = False
    assert not app.is_busy()
    Part.is_counted = False
    assert app.is_busy(), "nobody knows yet what waits"
    Part.state = "down"
    assert not app.is_busy()
