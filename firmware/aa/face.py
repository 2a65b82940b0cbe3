"""What the camera shows of itself: its display to who holds it, its status to the server.

`scene` knows which screen is due. Here is when it is drawn: never while a photo is being taken or has just begun to
leave, and four times a second at most; and how brightly: calm screens dim, then go dark, for an OLED ages where it
shines.
"""

import asyncio
import time

from aa import VERSION
from aa.display import BRIGHT, DARK, DIM
from aa.link import UP
from aa.messages import encode_status
from aa.pulse import Pulse
from aa.uploader import SENDING

_STATUS_CHANGE_MS = 500
_REDRAW_MS = 250
_LOOK_MS = 20
_LONGEST_SHOT_MS = 1_000
_PHOTO_MS = 4_000
_LEAVES_MS = 300  # who has a good network needs no progress bar: it would only hold the photo up
_REFRESH_MS = 10_000  # battery and signal change by themselves
_DIM_MS = 10_000
_SHIFT_MS = 60_000
_IDENTIFY_MS = 6_000
_BLINK_MS = 500
_GOOD_NIGHT_MS = 1_500
_LATE_MS = 30_000


class Face:
    """Shows `app`: `show_for_ever` on its display, `tell_for_ever` in its status; the rest tells it what happens."""

    def __init__(self, app):
        self._app = app
        self._made = None
        self._news = asyncio.Event()
        self._redraw = asyncio.Event()
        self._urgent = asyncio.Event()
        self._shown = self._leaving = None
        self._stirred_ticks = time.ticks_ms()
        self._in_use = self._blinks = False
        self.showing, self.telling = Pulse(), Pulse()

    @property
    def _scene(self):
        """What decides and draws, 30 KB of source: not loaded before a photo that someone waits for is taken."""
        if self._made is None:
            from aa.scene import Scene

            self._made = Scene(self._app)
        return self._made

    def changed(self):
        """There is something new to show and to tell."""
        self._news.set()
        self._redraw.set()

    def _now(self):
        self._redraw.set()
        self._urgent.set()

    def boot(self):
        """Say who this is, before anything else is set up; not to someone who waits for a photo, nor to nobody."""
        if self._app.woken_by is None:
            self._in_use = True
            self._app.display.open()
            self._app.display.show_now(*self._scene.boot())

    def pressed(self):
        """The shutter is released: this takes less than a millisecond."""
        self._in_use = True
        self._app.display.flash()

    def taken(self, entry):
        """The photo is written down."""
        self._scene.taken(entry)
        self._leaving = entry
        self._now()

    def failed(self, cause):
        """There was no photo, and why."""
        self._scene.failed(cause)
        self._now()

    def delivered(self, entry):
        """The server has a photo's bytes."""
        self._scene.delivered(entry)
        self.changed()

    def told(self, body):
        """The server tells how far a photo is."""
        if self._scene.told(body):
            self.changed()

    async def identify(self):
        """Blink with the camera's name, so that someone can tell which one this is."""
        self._scene.identify(_IDENTIFY_MS)
        self._now()
        for _ in range(_IDENTIFY_MS // _BLINK_MS):
            await asyncio.sleep_ms(_BLINK_MS)
            if self._blinks and not self._app.shutter.busy:
                self._app.display.blink()

    async def good_night(self, reason, wake_ms):
        """Say that it goes to sleep, for long enough to be read; a press ends that."""
        self._scene.good_night(reason, self._until(wake_ms))
        self._now()
        if self._app.display.light != DARK:
            await self._still(_GOOD_NIGHT_MS, until_busy=True)

    def stay_up(self):
        """It does not sleep after all, or has slept."""
        self._scene.good_night(None, "")
        self._now()

    def _until(self, wake_ms):
        if not wake_ms:
            return ""
        at_ms = self._app.clock.now_ms()
        offset = self._app.settings["utc_offset_min"]
        if at_ms is None or offset is None:
            minutes = (wake_ms + 30_000) // 60_000
            return "for {} h".format((minutes + 30) // 60) if minutes >= 90 else "for {} min".format(max(1, minutes))
        minutes = (at_ms + wake_ms) // 60_000 + offset
        return "till {:02d}:{:02d}".format(minutes // 60 % 24, minutes % 60)

    async def _still(self, for_ms, until_busy):
        """Wait until the shutter is busy, or no more, but no longer than that."""
        until = time.ticks_add(time.ticks_ms(), for_ms)
        while self._app.shutter.busy != until_busy and time.ticks_diff(until, time.ticks_ms()) > 0:
            await asyncio.sleep_ms(_LOOK_MS)

    async def _let_leave(self):
        """Wait while the photo just taken is on its way, but not for long."""
        until = time.ticks_add(time.ticks_ms(), _LEAVES_MS)
        while self._leaving is not None and time.ticks_diff(until, time.ticks_ms()) > 0:
            if self._leaving.delivered or self._app.uploader.state not in (UP, SENDING) or self._app.shutter.busy:
                break
            await asyncio.sleep_ms(_LOOK_MS)
        self._leaving = None

    async def show_for_ever(self):
        """Draw what is new."""
        if self._app.woken_by == "press":
            await self._app.shooter.first_photo(_PHOTO_MS)
        self._app.display.open()
        while True:
            self.showing.within(_LATE_MS)
            self._redraw.clear()
            self._urgent.clear()
            await self._still(_LONGEST_SHOT_MS, until_busy=False)
            await self._let_leave()
            next_ms = await self._show()
            await _wait(self._urgent, _REDRAW_MS)
            self.showing.within(next_ms + _LATE_MS)
            await _wait(self._redraw, max(0, next_ms - _REDRAW_MS))

    async def _show(self):
        """Show what is due. Returns when to look again, in milliseconds, though nothing may have been told."""
        from aa import scene

        screen, view, ages = self._scene.due()
        if self._shown is None or screen is not self._shown[0]:
            self._news.set()
            if ages:  # all but calm ones
                self._stirred_ticks = time.ticks_ms()
        self._blinks = ages == scene.BLINKING
        light, shift, next_ms = self._light(ages)
        shown = (screen, view, shift)
        display = self._app.display
        if shown != self._shown or light != display.light:
            self._shown = shown
            if light == DARK:
                display.tell(screen, view)
                if display.light != DARK:
                    display.off()
            else:
                await display.show(screen, view, light, shift)
        over_ms = self._scene.next_ms()
        return min(next_ms, _REFRESH_MS) if over_ms is None else min(next_ms, _REFRESH_MS, over_ms)

    def _light(self, ages):
        """Return (light, shift by pixels, ms until that may change): an error stays, dimly, and wanders a little."""
        from aa import scene

        now_dark = self._app.display.light == DARK
        quiet_ms = max(0, time.ticks_diff(time.ticks_ms(), self._stirred_ticks))
        off_ms = self._app.settings["display_off_ms"]
        nobody_looks = not self._in_use or (off_ms and quiet_ms >= off_ms)
        if (ages == scene.CALM and nobody_looks) or (ages == scene.LAST and now_dark):
            return DARK, 0, _REFRESH_MS
        if ages not in (scene.CALM, scene.STEADY) or quiet_ms < _DIM_MS:
            return BRIGHT, 0, max(1, _DIM_MS - quiet_ms)
        next_ms = _SHIFT_MS - quiet_ms % _SHIFT_MS
        if ages == scene.CALM and off_ms:
            next_ms = min(next_ms, off_ms - quiet_ms)
        return DIM, quiet_ms // _SHIFT_MS & 3, next_ms

    async def tell_for_ever(self):
        """Publish a status after each change, and now and then without one."""
        while True:
            self.telling.within(self._app.settings["status_every_ms"] + _LATE_MS)
            self._news.clear()
            self.tell()
            await _wait(self._news, self._app.settings["status_every_ms"])
            await asyncio.sleep_ms(_STATUS_CHANGE_MS)  # news come in bursts, and a photo goes before them

    def tell(self):
        """Publish the status now."""
        app = self._app
        facts = app.board.telemetry(app.storage.folder)
        facts.update({
            "rssi_dbm": app.wifi.rssi_dbm(),
            "queue": len(app.queue),
            "uptime_ms": app.clock.uptime_ms(),
            "firmware": VERSION,
            "sensor": app.sensor.name,
            "display": app.display.lines,
            "wake_reason": app.woken_by,
            "settings": app.settings.all(),
            "shot_uah": app.cost.uah,
        })
        facts.update(app.battery.telemetry())
        app.mqtt.publish("status", encode_status(facts), True)


async def _wait(event, timeout_ms):
    try:
        await asyncio.wait_for_ms(event.wait(), timeout_ms)
    except asyncio.TimeoutError:
        pass
