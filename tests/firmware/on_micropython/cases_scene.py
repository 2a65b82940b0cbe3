"""Which screen is due: what matters most to who holds the camera."""

import asyncio
import time

from aa import scene as scene_module
from aa import screens, troubles
from aa.capture import NoFrame
from aa.face import Face
from aa.queue import StorageFull
from aa.scene import Scene
from aa.shooter import BatteryEmpty
from face_booth import POSTED, WAITING, App, Entry, Queue, due, record
from helpers import PHOTOS


def the_most_important_is_shown():
    app = App()
    scene = Scene(app)
    assert due(scene)[0] is screens.ready
    app.wifi.state = app.mqtt.state = app.uploader.state = "down"
    scene._online_ticks = None
    assert due(scene)[0] is screens.connecting
    app.queue = Queue(3)
    assert due(scene) == (
        screens.queued,
        {"name": "cam", "bars": 3, "battery": 68, "plugged": False, "queue": 3, "why": ""},
    )
    scene.delivered(Entry(7))
    assert due(scene)[0] is screens.stored
    app.uploader.sending, app.uploader.percent = Entry(8), 42
    screen, view = due(scene)
    assert screen is screens.uploading and (view["number"], view["percent"], view["queue"]) == (8, 42, 3)
    app.progress, app.version = 10, "0.2.0"
    assert due(scene)[0] is screens.updating
    scene.identify(1_000)
    assert due(scene)[0] is screens.identify
    app.mqtt.trouble = troubles.TOKEN
    screen, view = due(scene)
    assert screen is screens.error and view["trouble"] == troubles.TOKEN and view["queue"] == 3
    scene.good_night("idle", "")
    assert due(scene)[0] is screens.sleeping
    app.busy = True
    assert due(scene)[0] is screens.flash


def what_ends_by_itself_is_no_error():
    app = App()
    scene = Scene(app)
    app.wifi.state, app.wifi.trouble = "down", troubles.NO_WIFI
    screen, view = due(scene)
    assert screen is screens.connecting and view["where"] == "home" and view["trouble"] == troubles.NO_WIFI
    app.wifi.state, app.wifi.trouble = "connecting", troubles.WIFI_PASSWORD
    assert due(scene)[0] is screens.error, "also while it tries again, for that helps nothing"
    app.wifi.state = "up"
    app.mqtt.state, app.mqtt.trouble, app.queue = "down", troubles.NO_ANSWER, Queue(1)
    scene._online_ticks = None
    screen, view = due(scene)
    assert screen is screens.queued and view["why"] == "No answer", "with photos that wait: those first"
    app.mqtt.state = "up"
    app.uploader.lasting = troubles.SERVER_FULL
    assert due(scene)[1]["trouble"] == troubles.SERVER_FULL


def tries_are_counted_for_each_step():
    app = App()
    scene = Scene(app)
    app.wifi.state = app.mqtt.state = app.uploader.state = "down"
    for attempt in (1, 2, 3):
        app.wifi.state = "connecting"
        for _ in range(2):
            view = due(scene)[1]
            assert (view["step"], view["where"], view["attempt"]) == (0, "home", attempt)
        app.wifi.state = "down"
        assert due(scene)[1]["attempt"] == attempt
    app.wifi.state, app.mqtt.state = "up", "connecting"
    view = due(scene)[1]
    assert (view["step"], view["where"], view["attempt"]) == (1, "broker.lan", 1)
    app.mqtt.state, app.uploader.state = "up", "connecting"
    assert due(scene)[1]["where"] == "ftp.lan"


def a_link_that_is_back_soon_was_never_gone():
    app = App()
    scene = Scene(app)
    assert due(scene)[0] is screens.ready
    app.uploader.state = "down"
    assert due(scene)[0] is screens.ready
    scene._online_ticks = time.ticks_add(time.ticks_ms(), -2_000)
    assert due(scene)[0] is screens.connecting


def a_photo_of_ours_is_in_discord_when_the_server_says_so():
    app = App()
    scene = Scene(app)
    assert not scene.told(record(PHOTOS[1], deliveries=POSTED)), "retained, of long ago"
    scene.taken(Entry(1, time.ticks_add(time.ticks_ms(), -1_400)))
    scene._until.clear()
    assert not scene.told(record(PHOTOS[2], deliveries=POSTED)) and due(scene)[0] is screens.ready
    assert scene.told(record(PHOTOS[1], deliveries=WAITING))
    assert due(scene)[0] is screens.stored
    assert scene.told(record(PHOTOS[1], deliveries=POSTED))
    screen, view = due(scene)
    assert screen is screens.in_discord and view["number"] == 1 and 1_400 <= view["after_ms"] < 1_600
    assert not scene.told(record(PHOTOS[1], deliveries=POSTED)), "once"


def without_discord_it_is_stored():
    scene = Scene(App())
    scene.delivered(Entry(3))
    scene._until.clear()
    assert scene.told(record(PHOTOS[3]))
    screen, view = due(scene)
    assert screen is screens.stored and view["number"] == 3 and view["after_ms"] is None
    assert not scene.told(record(PHOTOS[3], state="announced"))


def garbage_about_photos_is_no_news():
    scene = Scene(App())
    scene.delivered(Entry(3))
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"id": 1}',
        record(PHOTOS[3], deliveries=[7]),
        record(PHOTOS[3], state=1),
    ):
        assert not scene.told(body), body
    for seq in range(20):
        scene.delivered(Entry(seq))
    assert len(scene._awaited) == 16


def a_press_without_a_photo_says_why():
    app = App()
    scene = Scene(app)
    scene.failed(NoFrame("black"))
    assert due(scene)[1]["trouble"] == ("No photo", "press again")
    scene._until.clear()
    assert due(scene)[0] is screens.ready
    app.queue.trouble = troubles.full("Card")
    scene.failed(StorageFull("full"))
    scene._until.clear()
    assert due(scene)[1]["trouble"] == ("Card full", "bring near Wi-Fi")
    app.queue.trouble = None
    assert due(scene)[0] is screens.ready, "there is room again"
    scene.failed(BatteryEmpty("no photo"))
    assert due(scene)[1]["trouble"] == ("Battery empty", "charge it")
    app.name = None
    scene.failed(NoFrame("camera does not start"))
    scene._until.clear()
    assert due(scene)[1]["trouble"] == ("No camera", "check its cable")
    scene.taken(Entry(2))
    scene._until.clear()
    assert due(scene)[0] is screens.ready


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
        assert due(scene)[1]["trouble"] == trouble
        scene._until.clear()
        screen, view = due(scene)
        assert screen is screens.ready and view["note"] == note
    app.has_slot, app.state = False, "ok"
    assert due(scene)[1]["note"] == "", "a board without a slot misses no card"
    app.state = "critical"
    assert due(scene)[1]["trouble"] == ("Battery empty", "charge it")


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
        assert due(scene)[1]["bars"] == bars
    app.percent = None
    assert due(scene)[1]["battery"] is None and not due(scene)[1]["plugged"]
    app.on_usb = True
    assert due(scene)[1]["plugged"]


async def each_moment_ends():
    app = App()
    scene = Scene(app)
    assert scene.next_ms() is None
    scene.taken(Entry(1))
    assert due(scene)[0] is screens.flash and 0 < scene.next_ms() <= 400
    await asyncio.sleep_ms(420)
    assert due(scene)[0] is screens.ready and scene.next_ms() is None


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
