"""Which screen is due: what just happened, what is wrong, what goes on, or that all is well, in this order.

The rule, first match wins: a press, good night, what the owner must see to, `identify`, an update, an upload, a photo's
arrival, photos that wait for a network, the way to the server, ready. `screens` draws them, `face` says when.
"""

import json
import time

from aa import VERSION, screens, troubles
from aa.shooter import BatteryEmpty

_FLASH_MS = 400
_ARRIVED_MS = 4_000
_FAILURE_MS = 5_000
_WARNING_MS = 6_000
_BOOT_MS = 1_200
_PATIENCE_MS = 1_500  # a link that comes back sooner was never gone
_MOST_AWAITED = 16
_BARS_DBM = (-60, -70, -80)

NO_PHOTO = ("No photo", "press again")
NO_CAMERA = ("No camera", "check its cable")
BATTERY_EMPTY = ("Battery empty", "charge it")
BATTERY_LOW = ("Battery low", "charge it soon")
NO_CARD = ("No card", "photos on flash")
CARD_FAILS = ("Card fails", "photos on flash")
CALM, STEADY, LAST, LIVELY, BLINKING = range(5)  # how a screen ages: see `Face`
_AGES = {
    screens.ready: CALM,
    screens.connecting: CALM,
    screens.queued: CALM,
    screens.error: STEADY,
    screens.sleeping: LAST,
    screens.identify: BLINKING,
}
_FOR_THE_OWNER = (  # trying again is of no use; all else ends by itself some time
    troubles.WIFI_PASSWORD,
    troubles.NO_NETWORKS,
    troubles.NO_CA,
    troubles.BAD_CERTIFICATE,
    troubles.NO_TLS,
    troubles.ONLY_TLS,
    troubles.TOKEN,
)
_NOTES = {BATTERY_LOW: "battery is low", NO_CARD: "no card: on flash", CARD_FAILS: "bad card: on flash"}


class Scene:
    """Of `app`. What happens is told by calls; what goes on is seen in its parts."""

    def __init__(self, app):
        self._app = app
        self._until = {}
        self._awaited = []  # (photo, number, ticks of the press or None): what the server may still tell of
        self._arrived = self._failure = self._lasting = self._warning = self._good_night = None
        self._online_ticks = self._step = self._state = None
        self._tries = 0

    @property
    def _links(self):
        return self._app.wifi, self._app.mqtt, self._app.uploader

    def _begin(self, what, for_ms):
        self._until[what] = time.ticks_add(time.ticks_ms(), for_ms)

    def _lasts(self, what):
        return what in self._until

    def next_ms(self):
        """Return in how many milliseconds something of this will be over, or None."""
        now = time.ticks_ms()
        left = [time.ticks_diff(until, now) for until in self._until.values()]
        return max(0, min(left)) if left else None

    def boot(self):
        """Return (screen, view) of the start."""
        self._begin("boot", _BOOT_MS)
        return screens.boot, self._who()

    def taken(self, entry):
        """The photo of the last press is written down."""
        self._lasting = None
        self._begin("flash", _FLASH_MS)
        self._await(entry)

    def _await(self, entry):
        self._awaited = self._awaited[1 - _MOST_AWAITED :] + [(entry.photo, entry.seq, entry.taken_ticks)]

    def failed(self, cause):
        """There was no photo. That there is no sensor is shown until there is a photo again."""
        self._lasting = NO_CAMERA if self._app.sensor.name is None else None
        if isinstance(cause, BatteryEmpty):
            self._failure = BATTERY_EMPTY
        else:
            self._failure = self._app.queue.trouble or self._lasting or NO_PHOTO
        self._begin("failure", _FAILURE_MS)

    def delivered(self, entry):
        """The server has a photo's bytes."""
        if not any(one[0] == entry.photo for one in self._awaited):
            self._await(entry)
        self._show_arrival(screens.stored, entry.seq, None)

    def told(self, body):
        """Read what the server publishes of a photo. Returns whether it is news of one of ours."""
        try:
            record = json.loads(body)
            photo, state, deliveries = record["id"], record["state"], record.get("deliveries") or []
            posted = any(one["state"] == "posted" and one["target"].startswith("discord") for one in deliveries)
        except (ValueError, KeyError, TypeError, AttributeError):
            return False  # b"": it was deleted
        for one in self._awaited:
            if one[0] == photo and (posted or state == "stored"):
                _, number, pressed = one
                took = None if pressed is None else time.ticks_diff(time.ticks_ms(), pressed)
                self._show_arrival(screens.in_discord if posted else screens.stored, number, took)
                if posted:
                    self._awaited.remove(one)
                return True
        return False

    def _show_arrival(self, screen, number, took_ms):
        self._arrived = (screen, {"number": number, "after_ms": took_ms})
        self._begin("arrived", _ARRIVED_MS)

    def identify(self, for_ms):
        """Someone wants to know which camera this is."""
        self._begin("identify", for_ms)

    def good_night(self, reason, until):
        """It is going to sleep; `reason` None: not after all."""
        self._good_night = reason and (reason, until)

    def due(self):
        """Return (screen, view, how it ages)."""
        now = time.ticks_ms()
        for what in [what for what, until in self._until.items() if time.ticks_diff(until, now) <= 0]:
            del self._until[what]
        screen, more = self._happening() or self._going_on()
        view = self._header()
        view.update(more)
        return screen, view, _AGES.get(screen, LIVELY)

    def _happening(self):
        """Return (screen, what it says beyond the header) for what comes before everything else, or None."""
        waiting = len(self._app.queue)
        if self._app.shutter.busy or self._lasts("flash"):
            return screens.flash, {}
        if self._good_night:
            reason, until = self._good_night
            if reason == "battery":
                return screens.error, {"trouble": BATTERY_EMPTY, "queue": waiting}
            return screens.sleeping, {"until": until}
        trouble = self._trouble()
        if trouble:
            return screens.error, {"trouble": trouble, "queue": waiting}
        if self._lasts("identify"):
            return screens.identify, {}
        updater = self._app.updater
        if updater.progress is not None:
            return screens.updating, {"version": updater.version, "percent": updater.progress}
        uploader = self._app.uploader
        if uploader.sending is not None:
            number, percent = uploader.sending.seq, uploader.percent
            return screens.uploading, {"number": number, "percent": percent, "queue": waiting}
        return self._arrived if self._lasts("arrived") else None

    def _going_on(self):
        app = self._app
        waiting = len(app.queue)
        if self._lasts("boot"):
            return screens.boot, self._who()
        if not self._is_online():
            if waiting:
                return screens.queued, {"queue": waiting, "why": self._why()}
            return screens.connecting, self._connecting()
        return screens.ready, {"queue": waiting, "note": _NOTES.get(self._warning, "")}

    def _is_online(self):
        now = time.ticks_ms()
        if all(link.state in ("up", "sending") for link in self._links):
            self._online_ticks = now
        if self._online_ticks is None or not 0 <= time.ticks_diff(now, self._online_ticks) < _PATIENCE_MS:
            self._online_ticks = None
            return False
        return True

    def _why(self):
        """Say what is wrong with the first link that is not up, as far as that is known."""
        for link in self._links:
            if link.state not in ("up", "sending"):
                return link.trouble[0] if link.trouble else ""
        return ""

    def _connecting(self):
        """Say which link is next, and how often it was tried."""
        secrets = self._app.secrets
        wifi, mqtt, _ = self._links
        step = 0 if wifi.state != "up" else 1 if mqtt.state != "up" else 2
        link = self._links[step]
        where = (wifi.ssid or "Wi-Fi", secrets["mqtt"]["host"], secrets["ftp"]["host"])[step]
        trouble = None if link.state == "connecting" else link.trouble
        return {"step": step, "where": where, "attempt": self._count_try(step, link.state), "trouble": trouble}

    def _count_try(self, step, state):
        """Return how often this step was tried, by how often it began."""
        if step != self._step:
            self._step, self._tries, self._state = step, 0, None
        if state == "connecting" and self._state != state:
            self._tries += 1
        self._state = state
        return self._tries

    def _trouble(self):
        """Return what the owner has to see to (what is wrong, what to do), or None."""
        if self._lasts("failure"):
            return self._failure
        for link in self._links:
            if link.state != "up" and link.trouble in _FOR_THE_OWNER:
                return link.trouble
        lasting = self._app.queue.trouble or self._lasting or self._app.uploader.lasting
        if lasting:
            return lasting
        if self._app.battery_state() == "critical":
            return BATTERY_EMPTY
        return self._warn()

    def _warn(self):
        """Return what it is well to know, as a trouble for a while; later it is a note."""
        app = self._app
        warning = None
        if app.battery_state() == "low":
            warning = BATTERY_LOW
        elif app.board.has_slot and app.storage.card != "ok":
            warning = CARD_FAILS if app.storage.card else NO_CARD
        if warning != self._warning:
            self._warning = warning
            if warning:
                self._begin("warning", _WARNING_MS)
        return warning if self._lasts("warning") else None

    def _who(self):
        return {"name": self._app.secrets["camera"], "version": VERSION, "board": self._app.board.name}

    def _header(self):
        app = self._app
        rssi = app.wifi.rssi_dbm()
        return {
            "name": app.secrets["camera"],
            "bars": 0 if rssi is None else 1 + sum(rssi >= least for least in _BARS_DBM),
            "battery": app.battery.percent,
            "plugged": bool(app.battery.on_usb),
        }
