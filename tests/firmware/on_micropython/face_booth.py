"""What the face and its scene look at, made up, for their cases."""

import json

from aa.display import Display
from helpers import PHOTOS

PANEL = {"sda": 1, "scl": 2, "width": 128, "height": 64, "address": 0x3C}


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

    def __init__(self, woken_by=None, panel=PANEL, **settings):
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


def due(scene):
    screen, view, _ = scene.due()
    return screen, view


def record(photo, **more):
    record = {"id": photo, "camera": "cam", "state": "stored", "deliveries": []}
    record.update(more)
    return json.dumps(record).encode()


POSTED = [{"target": "discord:1", "state": "posted", "attempts": 1, "message_id": "9"}]
WAITING = [{"target": "discord:1", "state": "waiting", "attempts": 0}]
