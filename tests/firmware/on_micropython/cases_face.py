"""Which screen is shown when, how brightly, and that nobody waits for it."""

import asyncio
import json
import time

from aa import face as module
from aa import scene as scene_module
from aa import screens, troubles
from aa.capture import NoFrame
from aa.display import BRIGHT, DIM, Display
from aa.face import Face
from aa.queue import StorageFull
from aa.scene import Scene
from aa.shooter import BatteryEmpty
from helpers import PHOTOS, until

_PANEL = {"sda": 1, "scl": 2, "width": 128, "height": 64, "address": 0x3C}


class Link:
    """One that is up, unless told otherwise."""

    def __init__(self):
        self.state, self.trouble, self.lasting = "up", None, None
        self.ssid, self.sending, self.percent, self.dbm = "home", None, 0, -65

    def rssi_dbm(self):
        return self.dbm


class Queue:
    """So many photos wait."""

    def __init__(self, waiting=0):
        self.waiting, self.trouble = waiting, None

    def __len__(self):
        return self.waiting


class Entry:
    """A photo."""

    def __init__(self, seq, taken_ticks=None):
        self.seq, self.photo, self.taken_ticks = seq, PHOTOS[seq], taken_ticks
        self.delivered = False


class App:
    """What a face looks at."""

    def __init__(self, woken_by=None, panel=_PANEL, **settings):
        self.secrets = {"camera": "cam", "mqtt": {"host": "broker.lan"}, "ftp": {"host": "ftp.lan"}}
        self.wifi, self.mqtt, self.uploader = Link(), Link(), Link()
        self.display = Display(panel)
        self.queue, self.woken_by, self.name = Queue(), woken_by, "sim"
        self.board = self.sensor = self.shutter = self.shooter = self.clock = self.storage = self.battery = self
        self.updater, self.progress, self.version = self, None, None
        self.settings = {"display_off_ms": 0, "status_every_ms": 60_000, "utc_offset_min": None}
        self.settings.update(settings)
        self.busy, self.has_slot, self.card = False, True, "ok"
        self.percent, self.on_usb, self.state, self.at_ms = 68, None, "ok", None
        self.waited_for = 0

    def battery_state(self):
        return self.state

    def now_ms(self):
        return self.at_ms

    async def first_photo(self, timeout_ms):
        self.waited_for += 1


def _due(scene):
    screen, view, _ = scene.due()
    return screen, view


def _record(photo, **more):
    record = {"id": photo, "camera": "cam", "state": "stored", "deliveries": []}
    record.update(more)
    return json.dumps(record).encode()


_POSTED = [{"target": "discord:1", "state": "posted", "attempts": 1, "message_id": "9"}]
_WAITING = [{"target": "discord:1", "state": "waiting", "attempts": 0}]


def the_most_important_is_shown():
    app = App()
    scene = Scene(app)
    assert _due(scene)[0] is screens.ready
    app.wifi.state = app.mqtt.state = app.uploader.state = "down"
    scene._online_ticks = None
    assert _due(scene)[0] is screens.connecting
    app.queue = Queue(3)
    assert _due(scene) == (
        screens.queued,
        {"name": "cam", "bars": 3, "battery": 68, "plugged": False, "queue": 3, "why": ""},
    )
    scene.delivered(Entry(7))
    assert _due(scene)[0] is screens.stored
    app.uploader.sending, app.uploader.percent = Entry(8), 42
    screen, view = _due(scene)
    assert screen is screens.uploading and (view["number"], view["percent"], view["queue"]) == (8, 42, 3)
    app.progress, app.version = 10, "0.2.0"
    assert _due(scene)[0] is screens.updating
    scene.identify(1_000)
    assert _due(scene)[0] is screens.identify
    app.mqtt.trouble = troubles.TOKEN
    screen, view = _due(scene)
    assert screen is screens.error and view["trouble"] == troubles.TOKEN and view["queue"] == 3
    scene.good_night("idle", "")
    assert _due(scene)[0] is screens.sleeping
    app.busy = True
    assert _due(scene)[0] is screens.flash


def what_ends_by_itself_is_no_error():
    app = App()
    scene = Scene(app)
    app.wifi.state, app.wifi.trouble = "down", troubles.NO_WIFI
    screen, view = _due(scene)
    assert screen is screens.connecting and view["where"] == "home" and view["trouble"] == troubles.NO_WIFI
    app.wifi.state, app.wifi.trouble = "connecting", troubles.WIFI_PASSWORD
    assert _due(scene)[0] is screens.error, "also while it tries again, for that helps nothing"
    app.wifi.state = "up"
    app.mqtt.state, app.mqtt.trouble, app.queue = "down", troubles.NO_ANSWER, Queue(1)
    scene._online_ticks = None
    screen, view = _due(scene)
    assert screen is screens.queued and view["why"] == "No answer", "with photos that wait: those first"
    app.mqtt.state = "up"
    app.uploader.lasting = troubles.SERVER_FULL
    assert _due(scene)[1]["trouble"] == troubles.SERVER_FULL


def tries_are_counted_for_each_step():
    app = App()
    scene = Scene(app)
    app.wifi.state = app.mqtt.state = app.uploader.state = "down"
    for attempt in (1, 2, 3):
        app.wifi.state = "connecting"
        for _ in range(2):
            view = _due(scene)[1]
            assert (view["step"], view["where"], view["attempt"]) == (0, "home", attempt)
        app.wifi.state = "down"
        assert _due(scene)[1]["attempt"] == attempt
    app.wifi.state, app.mqtt.state = "up", "connecting"
    view = _due(scene)[1]
    assert (view["step"], view["where"], view["attempt"]) == (1, "broker.lan", 1)
    app.mqtt.state, app.uploader.state = "up", "connecting"
    assert _due(scene)[1]["where"] == "ftp.lan"


def a_link_that_is_back_soon_was_never_gone():
    app = App()
    scene = Scene(app)
    assert _due(scene)[0] is screens.ready
    app.uploader.state = "down"
    assert _due(scene)[0] is screens.ready
    scene._online_ticks = time.ticks_add(time.ticks_ms(), -2_000)
    assert _due(scene)[0] is screens.connecting


def a_photo_of_ours_is_in_discord_when_the_server_says_so():
    app = App()
    scene = Scene(app)
    assert not scene.told(_record(PHOTOS[1], deliveries=_POSTED)), "retained, of long ago"
    scene.taken(Entry(1, time.ticks_add(time.ticks_ms(), -1_400)))
    scene._until.clear()
    assert not scene.told(_record(PHOTOS[2], deliveries=_POSTED)) and _due(scene)[0] is screens.ready
    assert scene.told(_record(PHOTOS[1], deliveries=_WAITING))
    assert _due(scene)[0] is screens.stored
    assert scene.told(_record(PHOTOS[1], deliveries=_POSTED))
    screen, view = _due(scene)
    assert screen is screens.in_discord and view["number"] == 1 and 1_400 <= view["after_ms"] < 1_600
    assert not scene.told(_record(PHOTOS[1], deliveries=_POSTED)), "once"


def without_discord_it_is_stored():
    scene = Scene(App())
    scene.delivered(Entry(3))
    scene._until.clear()
    assert scene.told(_record(PHOTOS[3]))
    screen, view = _due(scene)
    assert screen is screens.stored and view["number"] == 3 and view["after_ms"] is None
    assert not scene.told(_record(PHOTOS[3], state="announced"))


def garbage_about_photos_is_no_news():
    scene = Scene(App())
    scene.delivered(Entry(3))
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"id": 1}',
        _record(PHOTOS[3], deliveries=[7]),
        _record(PHOTOS[3], state=1),
    ):
        assert not scene.told(body), body
    for seq in range(20):
        scene.delivered(Entry(seq))
    assert len(scene._awaited) == 16


def a_press_without_a_photo_says_why():
    app = App()
    scene = Scene(app)
    scene.failed(NoFrame("black"))
    assert _due(scene)[1]["trouble"] == ("No photo", "press again")
    scene._until.clear()
    assert _due(scene)[0] is screens.ready
    app.queue.trouble = troubles.full("Card")
    scene.failed(StorageFull("full"))
    scene._until.clear()
    assert _due(scene)[1]["trouble"] == ("Card full", "bring near Wi-Fi")
    app.queue.trouble = None
    assert _due(scene)[0] is screens.ready, "there is room again"
    scene.failed(BatteryEmpty("no photo"))
    assert _due(scene)[1]["trouble"] == ("Battery empty", "charge it")
    app.name = None
    scene.failed(NoFrame("camera does not start"))
    scene._until.clear()
    assert _due(scene)[1]["trouble"] == ("No camera", "check its cable")
    scene.taken(Entry(2))
    scene._until.clear()
    assert _due(scene)[0] is screens.ready


def a_warning_is_said_for_a_while_and_stays_as_a_note():
    app = App()
    scene = Scene(app)
    for change, trouble, note in (
        ({"card": None}, ("No card", "photos on flash"), "no card: on flash"),
        ({"card": "failed"}, ("Card fails", "photos on flash"), "bad card: on flash"),
        ({"state": "low"}, ("Battery low", "charge it soon"), "battery is low"),
    ):
        for key, value in change.items():
            setattr(app, key, value)
        assert _due(scene)[1]["trouble"] == trouble
        scene._until.clear()
        screen, view = _due(scene)
        assert screen is screens.ready and view["note"] == note
    app.has_slot, app.state = False, "ok"
    assert _due(scene)[1]["note"] == "", "a board without a slot misses no card"
    app.state = "critical"
    assert _due(scene)[1]["trouble"] == ("Battery empty", "charge it")


def words_for_the_owner_are_as_short_as_those_of_the_links():
    troubled = [value for name, value in scene_module.__dict__.items() if name.isupper() and isinstance(value, tuple)]
    troubled = [pair for pair in troubled if len(pair) == 2 and isinstance(pair[0], str)]
    assert len(troubled) == 6
    for pair in troubled:
        assert all(0 < len(words) <= 16 for words in pair), pair


def signal_has_four_bars_and_battery_may_be_unknown():
    app = App()
    scene = Scene(app)
    for dbm, bars in ((-40, 4), (-60, 4), (-61, 3), (-70, 3), (-75, 2), (-80, 2), (-81, 1), (-90, 1), (None, 0)):
        app.wifi.dbm = dbm
        assert _due(scene)[1]["bars"] == bars
    app.percent = None
    assert _due(scene)[1]["battery"] is None and not _due(scene)[1]["plugged"]
    app.on_usb = True
    assert _due(scene)[1]["plugged"]


async def each_moment_ends():
    app = App()
    scene = Scene(app)
    assert scene.next_ms() is None
    scene.taken(Entry(1))
    assert _due(scene)[0] is screens.flash and 0 < scene.next_ms() <= 400
    await asyncio.sleep_ms(420)
    assert _due(scene)[0] is screens.ready and scene.next_ms() is None


def it_says_till_when_it_sleeps():
    app = App()
    face = Face(app)
    assert face._until(0) == "" and face._until(20_000) == "for 1 min"
    assert face._until(3_300_000) == "for 55 min" and face._until(5_400_000) == "for 2 h"
    app.at_ms = 1_795_000_000_000  # 2026-11-18T11:06:40Z
    assert face._until(3_600_000) == "for 60 min", "nobody said which hour it is here"
    app.settings["utc_offset_min"] = 60
    assert face._until(3_600_000) == "till 13:06"
    app.settings["utc_offset_min"] = -600
    assert face._until(3_600_000) == "till 02:06"


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
