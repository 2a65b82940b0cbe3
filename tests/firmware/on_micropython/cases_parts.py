"""The small parts: settings, back-off, JPEG, DNS, shutter, sensor."""

import asyncio
import time

from aa import dns, jpeg
from aa.backoff import Backoff
from aa.secrets import load_secrets
from aa.settings import BadSettings, Settings
from aa.shutter import Shutter
from helpers import JPEG, araises, raises

_OVER_SIX_DAYS = {"idle_timeout_ms": 6 * 86_400_000 + 1}  # more than an ESP32's ticks can tell apart


def settings_hold_over_a_restart_all_or_none():
    settings = Settings("s.json", {"frame_size": "UXGA"})
    assert settings["frame_size"] == "UXGA" and settings["quality"] == 85
    raises(BadSettings, settings.change, {"quality": 50, "frame_size": "HUGE"})
    assert settings["quality"] == 85
    settings.change({"quality": 50, "idle_timeout_ms": 60_000})
    again = Settings("s.json", {"frame_size": "UXGA"})
    assert again["quality"] == 50 and again["idle_timeout_ms"] == 60_000


def impossible_settings_are_refused():
    settings = Settings("s.json", {})
    for change in (
        {},
        {"colour": 1},
        {"quality": 4},
        {"quality": "9"},
        {"quality": 50.0},
        {"idle_timeout_ms": -1},
        _OVER_SIX_DAYS,
    ):
        raises(BadSettings, settings.change, change)


def settings_that_cannot_be_written_down_are_not_taken():
    settings = Settings("no/where.json", {})
    raises(OSError, settings.change, {"quality": 50})
    assert settings["quality"] == 85


def a_file_of_settings_that_is_no_object_costs_nothing():
    for text in ("[1]", "7", "{", '{"quality": "x"}'):
        with open("s.json", "w") as file:
            file.write(text)
        assert Settings("s.json", {})["quality"] == 85


def secrets_that_are_incomplete_are_told():
    assert "missing" in str(raises(BadSettings, load_secrets, "none.json"))
    with open("x.json", "w") as file:
        file.write('{"camera":"a","token":"t","board":"sim","wifi":{},"mqtt":{"host":"h","port":1},"ftp":{"host":"h"}}')
    assert "ftp" in str(raises(BadSettings, load_secrets, "x.json"))


def back_off_grows_jittered_to_its_limit_and_starts_anew():
    backoff = Backoff(100, 1_000)
    for whole in (100, 200, 400, 800, 1_000, 1_000):
        assert whole // 2 <= backoff.next_ms() <= whole
    backoff.reset()
    assert backoff.next_ms() <= 100
    assert len({Backoff(10_000).next_ms() for _ in range(50)}) > 10


def jpegs_are_measured_and_half_ones_seen():
    from array import array

    signed = memoryview(array("b", JPEG))
    assert jpeg.dimensions(signed) == (1600, 1200) and jpeg.is_whole(signed)
    assert not jpeg.is_whole(signed[:-70]) and not jpeg.is_whole(signed[2:])
    assert jpeg.is_whole(JPEG + bytes(30)), "some sensors pad"
    assert jpeg.dimensions(JPEG[:22]) is None and jpeg.dimensions(b"\xff\xd8" + bytes(300)) is None
    assert jpeg.dimensions(b"\xff\xd8" + b"\xff\xe0\x00\x00" * 50) is None


def names_in_answers_are_followed_and_garbage_is_not():
    ident = b"\x12\x34"
    question = bytes(dns.query(ident, "pi.lan")[12:])
    head = ident + b"\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00"
    alias = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01x\xc0\x0f"
    found = b"\xc0\x28\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\xa8\x01\x07"
    packet = head + question + alias + found
    assert dns.answer(packet, ident) == "192.168.1.7"
    assert dns.answer(packet, b"xx") is None
    for end in range(len(packet)):
        assert dns.answer(packet[:end], ident) is None
    raises(dns.NameNotFound, dns.query, ident, "a..b")


async def a_name_is_asked_for_without_blocking_and_given_up_in_time():
    import socket

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(30_000, 60_000):
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            break
        except OSError:
            continue
    dns.use_server("127.0.0.1", port)
    started = time.ticks_ms()
    await araises(dns.NameNotFound, dns.resolve("pi.lan", 600))
    assert time.ticks_diff(time.ticks_ms(), started) < 4_000
    assert await dns.resolve("10.0.0.9", 10) == "10.0.0.9" and await dns.resolve("localhost", 10) == "127.0.0.1"
    asked = asyncio.create_task(dns.resolve("pi.lan", 3_000))
    sock.setblocking(True)
    for _ in range(4):  # three that nobody answered, then ours
        await asyncio.sleep_ms(20)
        packet, address = sock.recvfrom(512)
    sock.sendto(
        packet[:2]
        + b"\x81\x80\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x05",
        address,
    )
    assert await asked == "127.0.0.5"
    sock.close()


async def each_press_of_a_button_is_one_press():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    for _ in range(2):
        await shutter._pin._press("60")
    first = await asyncio.wait_for(shutter.wait(), 1)
    second = await asyncio.wait_for(shutter.wait(), 1)
    assert first.trigger == "button" and time.ticks_diff(second.ticks, first.ticks) >= 100
    await araises(asyncio.TimeoutError, asyncio.wait_for_ms(shutter.wait(), 50))


async def a_bouncing_button_is_one_press():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    for level in (0, 1, 0, 1, 0):
        shutter._pin._set(level)
        await asyncio.sleep_ms(2)
    await asyncio.wait_for(shutter.wait(), 1)
    await araises(asyncio.TimeoutError, asyncio.wait_for_ms(shutter.wait(), 50))


async def a_tap_that_is_over_before_anyone_could_look_is_one_press():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    for _ in range(2):  # both edges come in when the chip is back from a slow write, and the pin is at rest again
        shutter._edge(shutter._pin)
    assert len(shutter._presses) == 1
    await asyncio.sleep_ms(60)
    shutter._pin._set(0)
    await asyncio.sleep_ms(60)
    assert len(shutter._presses) == 2
    shutter._pin._value = 1
    shutter._edge(shutter._pin)
    await asyncio.sleep_ms(60)
    assert len(shutter._presses) == 2, "it was let go"


async def a_button_that_bounces_as_it_is_let_go_is_no_other_press():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    shutter._pin._set(0)
    await asyncio.sleep_ms(60)
    shutter._edge(shutter._pin)  # an edge up, and by now it is down once more
    shutter._pin._set(1)
    await asyncio.sleep_ms(10)
    assert len(shutter._presses) == 1


async def a_button_that_is_pressed_wakes_who_waits_at_once():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    waiting = asyncio.create_task(shutter.wait())
    await asyncio.sleep_ms(60)
    for _ in range(3):  # who waits is woken, not left to look again
        await asyncio.sleep_ms(0)
    shutter._pin._set(0)
    pressed = time.ticks_ms()
    press = await waiting
    assert time.ticks_diff(time.ticks_ms(), pressed) <= 5 and time.ticks_diff(press.ticks, pressed) <= 1


async def _touched(shutter, levels):
    """Give the pad these readings, one a look, and return the presses that came of it."""
    for level in levels:
        shutter._pad._level = level
        shutter.look()
    presses = []
    while shutter._presses:
        presses.append(await shutter.wait())
    return presses


async def a_touch_is_one_press_on_either_chip_and_drift_is_none():
    for percent, rest, damp, touch in ((70, 600, -3, 200), (130, 20_000, 100, 40_000)):
        shutter = Shutter({"kind": "touch", "pin": 12, "percent": percent, "wake": None})
        shutter._rest = rest
        drift = [rest + damp * step for step in range(100)]
        assert await _touched(shutter, drift) == [], "damp comes slowly"
        one = await _touched(shutter, [touch] * 30 + [drift[-1]] * 30)
        assert [press.trigger for press in one] == ["touch"]
        assert len(await _touched(shutter, ([touch] * 5 + [drift[-1]] * 8) * 3)) == 3


async def noise_on_a_touch_pad_is_no_press():
    shutter = Shutter({"kind": "touch", "pin": 12, "percent": 70, "wake": "touch"})
    assert await _touched(shutter, [600, 100, 600, 600, 0, 0, 0, 100, 600] * 10) == []
    one = await _touched(shutter, [100, 100, 600, 100, 100, 600, 600, 100] * 3 + [600] * 9)
    assert len(one) == 1, "a finger that trembles is one press"


async def a_pad_that_is_touched_while_the_chip_starts_works_once_it_is_let_go():
    shutter = Shutter({"kind": "touch", "pin": 12, "percent": 70, "wake": "touch"})
    shutter._rest = 200  # it was read with the finger on it, or gave nothing yet
    assert await _touched(shutter, [200] * 5 + [600] * 60) == []
    assert len(await _touched(shutter, [200] * 5)) == 1
    shutter = Shutter({"kind": "touch", "pin": 12, "percent": 130, "wake": None})
    shutter._rest = 0
    assert await _touched(shutter, [0, 0, 30_000, 30_000, 30_000]) == []
    assert len(await _touched(shutter, [50_000] * 3)) == 1


async def a_press_counts_from_the_first_touch():
    shutter = Shutter({"kind": "touch", "pin": 12, "percent": 70, "wake": "touch"})
    watching = asyncio.create_task(shutter.watch())
    await asyncio.sleep_ms(30)
    shutter._pad._level = 100
    touched = time.ticks_ms()
    press = await asyncio.wait_for(shutter.wait(), 1)
    assert 0 <= time.ticks_diff(press.ticks, touched) < 25
    watching.cancel()


def each_way_to_wake_is_armed():
    import esp32

    armed = []
    esp32.wake_on_ext0 = lambda pin, level: armed.append(("ext0", pin.number, level))
    esp32.wake_on_ext1 = lambda pins, level: armed.append(("ext1", [pin.number for pin in pins], level))
    esp32.wake_on_touch = lambda on: armed.append(("touch", on))
    for active, wake in ((0, "ext0"), (1, "ext1"), (0, None)):
        Shutter({"kind": "button", "pin": 4, "active": active, "wake": wake}).arm()
    Shutter({"kind": "touch", "pin": 12, "percent": 70, "wake": "touch"}).arm()
    assert armed == [("ext0", 4, esp32.WAKEUP_ALL_LOW), ("ext1", [4], esp32.WAKEUP_ANY_HIGH), ("touch", True)]


def a_press_after_a_week_without_one_counts():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    shutter._last_ticks = time.ticks_add(time.ticks_ms(), 86_400_000)  # so it looks once ticks have wrapped
    shutter._pin.value(0)
    shutter._edge(shutter._pin)
    assert shutter.busy


async def a_press_that_comes_while_a_photo_is_finished_is_waited_for():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    shutter.press("button")
    await shutter.wait()
    assert shutter.busy
    shutter.press("button")
    shutter.done()
    assert shutter.busy
    await shutter.wait()
    shutter.done()
    assert not shutter.busy


def presses_that_wait_are_bounded_and_counted():
    shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
    taken = [shutter.press("command", "c") for _ in range(12)]
    assert taken == [True] * 8 + [False] * 4 and shutter.discarded == 4


def every_board_is_complete():
    from aa.battery import Battery
    from aa.board import Board, default_settings, limits, load_profile
    from aa.capture import Sensor
    from aa.display import Display

    for name in ("aa3", "ai-thinker", "freenove-s3", "xiao-s3-sense", "sim"):
        profile = load_profile(name)
        board = Board(profile)
        board.light(True)
        assert board.name == name and Shutter(profile["shutter"]).kind in ("button", "touch")
        Shutter(profile["shutter"]).arm()
        settings = Settings("s.json", default_settings(profile))
        settings.limit("board", limits(profile))
        assert settings["frame_size"] in ("SVGA", "UXGA") and Sensor(profile["camera"], settings).name is None
        assert Display(profile["oled"]).size == (128, 64)
        telemetry = board.telemetry("/flash")
        assert telemetry["board"] == name and telemetry["temperature_c"] == 41 and telemetry["sd_free_kb"] is None
        fitted = bool(profile["battery"] and profile["battery"]["fitted"])
        assert (Battery(profile, settings).percent is not None) == fitted
        assert fitted == (name == "sim")
        if profile["battery"] is None:
            assert "board" in str(raises(BadSettings, settings.change, {"battery_permille": 2000}))
    raises(ImportError, load_profile, "none")


def a_card_gets_its_pins_as_the_board_has_them():
    import machine

    from aa import board

    asked = []

    class Vfs:
        mount = staticmethod(lambda *_: None)

    real = machine.SDCard, board.vfs
    machine.SDCard, board.vfs = lambda **words: asked.append(words), Vfs
    for name in ("ai-thinker", "freenove-s3", "xiao-s3-sense"):
        board.Board(board.load_profile(name)).mount_card()
    machine.SDCard, board.vfs = real
    assert asked[0] == {"slot": 1, "width": 1}
    assert (asked[1]["sck"].number, asked[1]["cmd"].number, [pin.number for pin in asked[1]["data"]]) == (39, 38, [40])
    assert {key: pin.number for key, pin in asked[2].items() if key != "slot"} == {
        "sck": 7, "miso": 8, "mosi": 9, "cs": 21
    }  # fmt: skip
