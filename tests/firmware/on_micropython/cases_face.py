"""Which screen is shown when, how brightly, and that nobody waits for it."""

import asyncio
import time

from aa import face as module
from aa import screens, troubles
from aa.display import BRIGHT, DIM
from aa.face import Face
from face_booth import App, Entry, Queue
from helpers import until


async def nothing_is_drawn_while_a_photo_is_taken_but_the_flash_is_there_at_once():
    app = App()
    face = Face(app)
    face.boot()
    running = asyncio.create_task(face.show_for_ever())
    face._made._until.clear()
    face.changed()
    await until(lambda: app.display.lines[2:3] == ["Ready"])
    await asyncio.sleep_ms(300)
    memory, app.display.bus.busy_us = bytes(app.display.bus.memory), 0
    app.busy = True
    face.pressed()
    assert app.display.bus.is_inverse and app.display.bus.busy_us < 1_000
    face.changed()
    await asyncio.sleep_ms(400)
    assert bytes(app.display.bus.memory) == memory and app.display.bus.busy_us < 1_000
    app.busy = False
    app.uploader.state = "down"
    face.taken(Entry(1, time.ticks_ms()))
    await until(lambda: app.display.lines[1:2] == ["Photo!"], 100)
    app.uploader.state = "up"
    await until(lambda: app.display.lines[2:3] == ["Ready"], 1_000)
    await until(lambda: not app.display.bus.is_inverse, 300)
    running.cancel()


async def a_photo_that_leaves_at_once_is_not_held_up_by_the_display():
    """Each page takes 3 ms of everybody's time; on a good network the bytes have left after some 100."""
    app = App()
    face = Face(app)
    running = asyncio.create_task(face.show_for_ever())
    await until(lambda: app.display.lines)
    await asyncio.sleep_ms(300)
    entry, app.display.bus.busy_us = Entry(1, time.ticks_ms()), 0
    app.uploader.sending = entry
    face.taken(entry)
    await asyncio.sleep_ms(150)
    assert app.display.bus.busy_us == 0
    entry.delivered, app.uploader.sending = True, None
    face.delivered(entry)
    await until(lambda: app.display.bus.busy_us > 0, 100)
    slow = app.uploader.sending = Entry(2, time.ticks_ms())
    face.taken(slow)
    await until(lambda: app.display.lines and screens.uploading is face._shown[0], 1_000)
    running.cancel()


async def progress_is_drawn_four_times_a_second_at_most():
    app = App()
    face = Face(app)
    drawn = []
    real = app.display.tell
    app.display.tell = lambda *words: (drawn.append(words[0]), real(*words))[1]
    running = asyncio.create_task(face.show_for_ever())
    app.uploader.sending = Entry(1)
    for percent in range(100):
        app.uploader.percent = percent
        face.changed()
        await asyncio.sleep_ms(10)
    assert 3 <= drawn.count(screens.uploading) <= 6, drawn
    running.cancel()


async def a_calm_screen_dims_then_goes_dark_and_a_press_wakes_it():
    module._DIM_MS = 200
    app = App(display_off_ms=800)
    face = Face(app)
    face.boot()
    face._made._until.clear()
    running = asyncio.create_task(face.show_for_ever())
    bus = app.display.bus
    await until(lambda: app.display.light == DIM, 1_000)
    await until(lambda: not bus.is_on, 1_500)
    assert app.display.lines[2] == "Ready", "in words it stays what it is"
    app.queue = Queue(1)
    face.changed()
    await until(lambda: app.display.lines[3] == "1 photo to send", 1_000)
    assert not bus.is_on, "that is no reason to shine"
    face.pressed()
    assert bus.is_on and bus.is_inverse and bus.contrast == BRIGHT
    face.taken(Entry(1, time.ticks_ms()))
    await until(lambda: app.display.lines[2:3] == ["Ready"] and app.display.light == BRIGHT, 1_500)
    running.cancel()


async def an_error_stays_and_wanders():
    module._DIM_MS, module._SHIFT_MS = 100, 300
    app = App(display_off_ms=400)
    face = Face(app)
    app.wifi.state, app.wifi.trouble = "refused", troubles.WIFI_PASSWORD
    running = asyncio.create_task(face.show_for_ever())
    await until(lambda: app.display.light == DIM)
    seen = set()
    for _ in range(60):
        seen.add(app.display.bus.seen())
        await asyncio.sleep_ms(25)
    assert len(seen) >= 4 and bytes(1024) not in seen
    running.cancel()


async def a_camera_that_woke_by_itself_stays_dark_until_someone_takes_it():
    app = App(woken_by="timer")
    face = Face(app)
    face.boot()
    running = asyncio.create_task(face.show_for_ever())
    await until(lambda: app.display.lines[2:3] == ["Ready"])
    assert not app.display.bus.is_on
    started = time.ticks_ms()
    await face.good_night("idle", 0)
    assert time.ticks_diff(time.ticks_ms(), started) < 200, "nobody reads it"
    await until(lambda: app.display.lines[2:3] == ["Sleeping"])
    assert not app.display.bus.is_on
    face.stay_up()
    face.pressed()
    face.taken(Entry(1))
    await until(lambda: app.display.lines[2:3] == ["Ready"])
    assert app.display.bus.is_on
    running.cancel()


async def good_night_can_be_read_and_a_press_cuts_it_short():
    app = App()
    face = Face(app)
    face.boot()
    running = asyncio.create_task(face.show_for_ever())
    for busy, least, most in ((False, 1_400, 2_000), (True, 0, 200)):
        started = time.ticks_ms()
        app.busy = busy
        await face.good_night("command", 0)
        assert least <= time.ticks_diff(time.ticks_ms(), started) <= most
    assert app.display.lines[2:] == ["Sleeping", "press to wake"]
    running.cancel()


async def a_press_that_woke_it_comes_before_everything():
    app = App(woken_by="press")
    face = Face(app)
    face.boot()
    face.pressed()
    assert face._made is None and app.display._panel is None, "nothing was loaded yet, nothing set up"
    running = asyncio.create_task(face.show_for_ever())
    await until(lambda: app.display.bus.is_on and app.display.lines)
    assert app.waited_for == 1
    running.cancel()


async def identify_blinks():
    module._IDENTIFY_MS, module._BLINK_MS = 600, 100
    app = App()
    face = Face(app)
    running = asyncio.create_task(face.show_for_ever())
    asking = asyncio.create_task(face.identify())
    inverse = []
    for _ in range(55):
        inverse.append(app.display.bus.is_inverse)
        await asyncio.sleep_ms(10)
    await asking
    assert sum(now != then for now, then in zip(inverse, inverse[1:])) >= 4
    await until(lambda: app.display.lines[2:3] == ["Ready"] and not app.display.bus.is_inverse)
    running.cancel()


async def a_board_without_a_display_says_it_in_its_status():
    app = App(panel=None)
    face = Face(app)
    face.boot()
    assert app.display.lines[0] == "cam"
    running = asyncio.create_task(face.show_for_ever())
    await until(lambda: app.display.lines[2:3] == ["Ready"])
    running.cancel()
