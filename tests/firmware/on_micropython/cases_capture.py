"""The sensor, against a model of the driver's buffers in time, and against drivers that fail in each way known."""

import asyncio
import random
import sys
import time
from array import array

from aa import sensors
from aa.capture import NoFrame, Sensor
from aa.settings import BadSettings, Settings
from helpers import JPEG, araises, flat_jpeg, raises

_PERIOD_MS = 12


class Driver:
    """The `camera` module. Frames begin at each VSYNC, in one of two buffers, and the last complete one lies ready."""

    class PixelFormat:
        JPEG = 4

    class GrabMode:
        LATEST = 1

    class FrameSize:
        SVGA, UXGA, QXGA, QSXGA = 11, 15, 19, 23

    def __init__(self, sensor="OV2640"):
        self.sensor, self.calls, self.opened = sensor, [], 0
        self.frames = None  # what is given, one after the other; None: a JPEG that tells when its exposure began
        self.stuck = False
        self.fetched = 0
        self._vsync = time.ticks_ms()
        self._busy = self._ready = self._held = None
        sys.modules["camera"] = self

    def Camera(self, **asked):
        self.opened += 1
        self.asked = asked
        return self

    def _go_on(self):
        now = time.ticks_ms()
        while time.ticks_diff(now, self._vsync) >= _PERIOD_MS:
            self._vsync = time.ticks_add(self._vsync, _PERIOD_MS)
            if self._busy is not None:
                self._ready, self._busy = self._busy, None
            if (self._held is not None) + (self._ready is not None) < 2:
                self._busy = self._vsync

    def frame_available(self):
        self._go_on()
        return not self.stuck and (self.frames is not None or self._ready is not None)

    def capture(self):
        self.fetched += 1
        self._go_on()
        if self.frames is not None:
            frame = self.frames.pop(0) if self.frames else None
            return frame if frame is None else memoryview(array("b", frame))
        self._held, self._ready = self._ready, None
        return memoryview(array("b", _told(self._held)))

    def free_buffer(self):
        self._go_on()
        self._held = None

    def get_sensor_name(self):
        return self.sensor

    def deinit(self):
        self.calls.append("deinit")

    def reconfigure(self, frame_size):
        self.calls.append(("reconfigure", frame_size))


def _setter(key):
    return lambda self, value: self.calls.append((key, value))


for _key in (
    "frame_size",
    "quality",
    "hmirror",
    "vflip",
    "brightness",
    "contrast",
    "saturation",
    "ae_level",
    "wb_mode",
    "special_effect",
):
    setattr(Driver, "set_" + _key, _setter(_key))


def _told(ticks):
    """A JPEG with the ticks of its exposure's begin in a comment."""
    return JPEG[:2] + b"\xff\xfe\x00\x06" + ticks.to_bytes(4, "big") + JPEG[2:]


def _begin(shot):
    return int.from_bytes(bytes(shot.frame[6:10]), "big")


def _sensor():
    """A sensor that is open and settled."""
    sensor = Sensor({"pins": {"xclk_pin": 21}}, Settings("s.json", {"frame_size": "UXGA"}))
    sensor.open()
    sensor._unsettled = 0
    return sensor


def a_driver_is_asked_for_jpeg_the_latest_of_two_buffers():
    driver = Driver()
    _sensor()
    assert driver.asked["fb_count"] == 2 and driver.asked["grab_mode"] == 1 and driver.asked["pixel_format"] == 4
    assert driver.asked["frame_size"] == 15 and driver.asked["jpeg_quality"] == 85 and driver.asked["xclk_pin"] == 21


async def no_photo_was_exposed_before_its_press():
    """Whenever the press comes, however long the frame before was kept, however long nobody asked."""
    Driver()
    sensor = _sensor()
    for _ in range(60):
        await asyncio.sleep_ms(random.randint(0, 3 * _PERIOD_MS))
        pressed = time.ticks_ms()
        shot = await sensor.shoot()
        assert time.ticks_diff(_begin(shot), pressed) >= 0, "it began before"
        assert time.ticks_diff(time.ticks_ms(), pressed) <= 5 * _PERIOD_MS, "it took longer than it must"
        time.sleep_ms(random.choice((0, 0, 5, 40)))  # the frame is in use, and nobody else runs
        sensor.release()


async def where_no_frame_lies_ready_only_the_one_in_progress_is_too_old():
    driver = Driver()
    sensor = _sensor()
    for lies_ready in (False, True):
        while driver.frame_available() != lies_ready:
            if driver.frame_available():
                driver.capture()
                driver.free_buffer()
            else:
                await asyncio.sleep_ms(1)
        before = driver.fetched
        await sensor.shoot()
        sensor.release()
        assert driver.fetched - before == 2 + lies_ready


async def none_a_half_one_and_no_picture_at_all_are_not_the_photo():
    driver = Driver()
    sensor = _sensor()
    driver.frames = [_told(1), _told(2), None, _told(3)[:200], bytes(500), _told(4)]
    shot = await sensor.shoot()
    assert _begin(shot) == 4 and (shot.width, shot.height, shot.labels) == (1600, 1200, [])


async def a_sensor_that_only_gives_halves_is_given_up_in_time():
    driver = Driver()
    sensor = _sensor()
    driver.frames = [JPEG[:200]] * 40
    await araises(NoFrame, sensor.shoot())
    assert len(driver.frames) >= 20
    driver.frames = [_told(n) for n in range(3)]
    assert _begin(await sensor.shoot()) == 2, "the next press finds it well"


async def a_sensor_that_gives_nothing_stops_nobody_else_and_is_opened_anew():
    driver = Driver()
    sensor = _sensor()
    sensor._able = dict(sensor._able)
    sensor._able["frame_ms"] = 10
    ticks = []

    async def beside():
        while True:
            ticks.append(time.ticks_ms())
            await asyncio.sleep_ms(5)

    running = asyncio.create_task(beside())
    for driver.stuck, driver.frames in ((True, None), (False, [])):  # no frame is ever ready; capture gives None
        await araises(NoFrame, sensor.shoot())
    running.cancel()
    assert len(ticks) > 15 and driver.opened == 2
    driver.stuck, driver.frames = False, None
    pressed = time.ticks_ms()
    assert time.ticks_diff(_begin(await sensor.shoot()), pressed) >= 0 and driver.opened == 3


async def a_black_frame_is_tried_again_and_then_kept_with_a_label():
    driver = Driver()
    sensor = _sensor()
    dark, light = [flat_jpeg(2, extra=n) for n in range(20)], flat_jpeg(120)
    driver.frames = dark[:2] + dark[2:5] + [light]
    shot = await sensor.shoot()
    assert bytes(shot.frame) == light and shot.labels == []
    driver.frames = list(dark)
    shot = await sensor.shoot()
    assert shot.labels == ["black"] and len(driver.frames) == 20 - 2 - 4, "three more tries, not more"


async def a_frame_like_the_last_photo_is_tried_again_and_then_kept_with_a_label():
    driver = Driver()
    sensor = _sensor()
    driver.frames = [_told(1)] * 3
    assert (await sensor.shoot()).labels == []
    driver.frames = [_told(1)] * 4 + [_told(2)]
    shot = await sensor.shoot()
    assert _begin(shot) == 2 and shot.labels == []
    driver.frames = [_told(2)] * 9
    assert (await sensor.shoot()).labels == ["same"] and len(driver.frames) == 3
    dark = flat_jpeg(2)
    driver.frames = [dark] * 20
    assert (await sensor.shoot()).labels == ["black"]
    driver.frames = [dark] * 20
    assert (await sensor.shoot()).labels == ["black", "same"]


async def halves_among_black_ones_do_not_cost_the_photo():
    driver = Driver()
    sensor = _sensor()
    driver.frames = [JPEG] * 2 + [flat_jpeg(2, extra=1), JPEG[:200]] * 2 + [JPEG[:200]] * 7 + [flat_jpeg(2)]
    assert (await sensor.shoot()).labels == ["black"] and not driver.frames


async def exposure_settles_by_frames_and_no_longer_than_it_must():
    driver = Driver()
    sensor = Sensor({"pins": {}}, Settings("s.json", {"frame_size": "UXGA"}))
    black = [flat_jpeg(2), flat_jpeg(2, extra=1)]  # alike in size, and nothing is exposed yet
    ramp = [JPEG + bytes(n) for n in (0, 60, 40)]
    driver.frames = black + ramp + [_told(1)] * 2 + [_told(2)]
    shot = await sensor.shoot()
    assert _begin(shot) == 1 and len(driver.frames) == 2, "settled when two in a row were alike: the next is the photo"
    changing = [_told(n) + bytes(60 * (n % 2)) for n in range(80)]
    sensor = Sensor({"pins": {}}, Settings("s.json", {"frame_size": "UXGA"}))
    driver.frames = changing[:40]
    await sensor.shoot()
    assert len(driver.frames) == 40 - 12 - 1, "a sensor that never settles gets the frames that its kind may need"
    driver.frames = changing[40:]
    await sensor.shoot()
    assert len(driver.frames) == 40 - 3, "and only once"


async def it_settles_before_the_first_press_too():
    driver = Driver()
    sensor = Sensor({"pins": {}}, Settings("s.json", {"frame_size": "UXGA"}))
    await sensor.settle()
    assert driver.opened == 0
    sensor.open()
    driver.frames = [JPEG] * 9
    await sensor.settle()
    assert len(driver.frames) == 7
    await sensor.settle()
    assert len(driver.frames) == 7


async def after_light_sleep_exposure_settles_anew():
    driver = Driver()
    sensor = Sensor({"pins": {}}, Settings("s.json", {}))
    sensor.unsettle()
    sensor = _sensor()
    sensor.unsettle()
    driver.frames = [_told(n) + bytes(60 * (n < 5)) * (n % 2) for n in range(20)]
    await sensor.shoot()
    assert len(driver.frames) == 20 - 6 - 1


def settings_reach_the_sensor_and_only_those_that_changed():
    driver = Driver()
    settings = Settings("s.json", {"frame_size": "UXGA", "hmirror": True, "white_balance": "office"})
    sensor = Sensor({"pins": {}}, settings)
    sensor.open()
    assert sorted(driver.calls) == [("hmirror", True), ("wb_mode", 3)]
    driver.calls = []
    settings.change({"brightness": -2, "exposure": 1, "effect": "sepia", "quality": 50, "hmirror": False})
    sensor.apply_settings()
    assert sorted(driver.calls) == sorted([
        ("brightness", -2), ("ae_level", 1), ("special_effect", 6), ("quality", 50), ("hmirror", False)
    ])  # fmt: skip


def a_smaller_size_needs_no_new_start_and_a_larger_one_reconfigures():
    driver = Driver()
    settings = Settings("s.json", {"frame_size": "UXGA", "vflip": True})
    sensor = Sensor({"pins": {}}, settings)
    sensor.open()
    driver.calls = []
    settings.change({"frame_size": "SVGA"})
    sensor.apply_settings()
    settings.change({"frame_size": "UXGA"})
    sensor.apply_settings()
    assert driver.calls == [("frame_size", 11), ("frame_size", 15)], "both fit into the first buffers"
    driver = Driver()
    settings = Settings("none.json", {"frame_size": "SVGA", "vflip": True})
    sensor = Sensor({"pins": {}}, settings)
    sensor.open()
    driver.calls = []
    settings.change({"frame_size": "UXGA"})
    sensor.apply_settings()
    assert driver.calls[0] == ("reconfigure", 15) and ("vflip", True) in driver.calls, "the driver resets the sensor"
    assert "deinit" not in driver.calls and driver.opened == 1


def a_driver_without_setters_takes_properties():
    class Newer:
        sensor_name = "OV5640"

        def __init__(self, **asked):
            self.quality = None

    driver = Driver()
    driver.Camera = Newer
    settings = Settings("s.json", {"contrast": 3})
    sensor = Sensor({"pins": {}}, settings)
    sensor.open()
    assert sensor.name == "OV5640" and sensor._camera.contrast == 3


def a_sensor_is_what_it_says_and_an_unknown_one_can_do_what_all_can():
    expected = (("OV2640", "UXGA", 2), ("OV3660", "QXGA", 3), ("OV5640", "QSXGA", 3), ("GC9999", "UXGA", 2))
    for name, size, level in expected:
        able = sensors.abilities(name)
        assert able["largest"] == size and able["brightness"] == (-level, level)
        assert sensors.limits(able)["frame_size"][-1] == size
    for able in sensors.SENSORS.values():
        assert set(able) == set(sensors.abilities("GC9999"))


def what_the_sensor_cannot_do_is_refused_in_words_before_anything_changes():
    Driver()
    settings = Settings("s.json", {"frame_size": "SVGA"})
    sensor = Sensor({"pins": {}}, settings)
    settings.change({"frame_size": "QSXGA"})
    settings.change({"frame_size": "SVGA"})
    sensor.open()
    cause = str(raises(BadSettings, settings.change, {"quality": 50, "frame_size": "QSXGA"}))
    assert "UXGA" in cause and "QSXGA" not in cause and "OV2640" in cause and settings["quality"] == 85
    cause = str(raises(BadSettings, settings.change, {"brightness": 3}))
    assert "-2 to 2" in cause and "OV2640" in cause
    raises(BadSettings, settings.change, {"quality": 100})


def a_smaller_sensor_than_the_settings_want_takes_its_largest():
    Driver("OV2640")
    settings = Settings("s.json", {})
    settings.change({"frame_size": "QSXGA", "saturation": 4})
    sensor = Sensor({"pins": {}}, settings)
    sensor.open()
    assert settings["frame_size"] == "UXGA" and settings["saturation"] == 2
    Driver("OV5640")
    assert Settings("s.json", {})["frame_size"] == "QSXGA", "what its owner wants is not forgotten"


def the_ov3660_is_turned_upright():
    driver = Driver("OV3660")
    _sensor()
    assert driver.calls == [("vflip", True)]
    driver = Driver("OV3660")
    settings = Settings("s.json", {"vflip": True})
    Sensor({"pins": {}}, settings).open()
    assert driver.calls == []


def a_sensor_with_a_pin_for_it_is_powered_down_in_sleep():
    import machine

    pins = []

    class Pin:
        OUT = 1

        def __init__(self, number, mode, value, hold):
            pins.append((number, value, hold))

    real, machine.Pin = machine.Pin, Pin
    Driver()
    sensor = Sensor({"pins": {"powerdown_pin": 32}}, Settings("s.json", {}))
    sensor.open()
    sensor.close()
    machine.Pin = real
    assert pins == [(32, False, False), (32, True, True)]


async def a_setting_that_the_driver_refuses_is_told_and_the_next_photo_opens_it_anew():
    driver = Driver()
    sensor = _sensor()

    def refuse(_):
        raise ValueError("Invalid setting for quality")

    driver.set_quality = refuse
    sensor._settings.change({"quality": 40})
    assert "Invalid setting" in str(raises(NoFrame, sensor.apply_settings))
    del driver.set_quality
    pressed = time.ticks_ms()
    assert time.ticks_diff(_begin(await sensor.shoot()), pressed) >= 0 and driver.opened == 2
    assert driver.asked["jpeg_quality"] == 40
