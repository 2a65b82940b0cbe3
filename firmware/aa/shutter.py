"""The shutter: presses of a button or a touch pad, and of whoever asks from afar, one after the other.

A press never waits for the network, nor for the photo before: it is noted with its time, and taken in turn.
"""

import asyncio
import time

import machine

from aa.pulse import Pulse

_LATE_MS = 15_000
_BOUNCE_MS = 50
_TOUCH_EVERY_MS = 10
_TOUCHES = 2  # so many looks in a row, for one may be noise
_LET_GO = 4
_MOST_WAITING = 8


class Press:
    """One press: what released the shutter, when, and for which command."""

    def __init__(self, trigger, ticks, command=None):
        self.trigger = trigger
        self.ticks = ticks
        self.command = command


class Shutter:
    """`profile` is the board's: {"kind": "button", "pin", "active"} or {"kind": "touch", "pin", "percent"}, and "wake".

    A touch takes a pad to `percent` of its reading at rest: below 100 on an ESP32, above on an ESP32-S3.
    """

    def __init__(self, profile):
        self.kind = profile["kind"]
        self.discarded = self.ended = 0  # presses not taken, and those that are over
        self._wake = profile.get("wake")
        self.pulse = Pulse()
        self._shooting = 0
        self._presses = []
        self._news = asyncio.ThreadSafeFlag()  # an interrupt may set it, and the task that waits goes on at once
        self._last_ticks = time.ticks_add(time.ticks_ms(), -_BOUNCE_MS)
        pin = profile["pin"]
        if self.kind == "button":
            self._active = profile["active"]
            self._pull = machine.Pin.PULL_DOWN if self._active else machine.Pin.PULL_UP
            self._pin = machine.Pin(pin, machine.Pin.IN, self._pull)
            self._down = self._pin.value() == self._active
            self._pin.irq(self._edge, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)
        else:
            self._pad = machine.TouchPad(machine.Pin(pin))
            self._percent = profile["percent"]
            self._rest = self._pad.read()
            self._down = False
            self._looks = 0  # in a row that say otherwise than `_down`
            self._touched_ticks = None

    def _edge(self, pin):
        now = time.ticks_ms()
        quiet = not 0 <= time.ticks_diff(now, self._last_ticks) < _BOUNCE_MS  # after days, ticks have wrapped
        self._last_ticks = now
        if quiet and not self._down:  # whatever the pin says by now: a slow card or TLS may have kept this for long
            self.press(self.kind)
        self._down = pin.value() == self._active

    def press(self, trigger, command=None, ticks=None):
        """Note a press, of now unless `ticks` say when. Returns False when too many wait already: it is not taken."""
        if len(self._presses) >= _MOST_WAITING:
            self.discarded += 1
            return False
        self._presses.append(Press(trigger, time.ticks_ms() if ticks is None else ticks, command))
        self._news.set()
        return True

    async def wait(self):
        """Return the next press. `done` is to be called for each."""
        while not self._presses:
            await self._news.wait()
        self._shooting += 1
        return self._presses.pop(0)

    def done(self):
        """The photo of a press is written down, or has failed."""
        self._shooting = max(0, self._shooting - 1)
        self.ended += 1

    @property
    def busy(self):
        """Whether a press waits, or its photo is not yet written down."""
        return bool(self._presses) or self._shooting > 0

    def arm(self):
        """Have a press wake the chip from deep sleep, where the board has a way."""
        import esp32

        if self._wake == "touch":
            self._pad.config(self._rest * self._percent // 100)
            esp32.wake_on_touch(True)
        elif self._wake:
            level = esp32.WAKEUP_ANY_HIGH if self._active else esp32.WAKEUP_ALL_LOW
            if self._wake == "ext0":
                esp32.wake_on_ext0(self._pin, level)
            else:
                esp32.wake_on_ext1((self._pin,), level)

    def wake(self, pressed):
        """Go on after light sleep. `pressed`: that ended it, and how it bounces now is no other press."""
        if self.kind == "button":
            if pressed:
                self._last_ticks = time.ticks_ms()
            self._pin.init(machine.Pin.IN, self._pull)  # an ESP32 has left it to its RTC, where it has no interrupt
            self._down = self._pin.value() == self._active

    async def watch(self):
        """Look at the touch pad for ever, for it has no interrupt; a button needs no watching."""
        if self.kind != "touch":
            return
        while True:
            self.pulse.within(_LATE_MS)
            self.look()
            await asyncio.sleep_ms(_TOUCH_EVERY_MS)

    def look(self):
        """Look at the touch pad once; a button needs no looking at."""
        if self.kind != "touch":
            return
        level = self._pad.read()
        if not self._rest:
            self._rest = level  # the first readings after a start may be 0
        touched = self._is_touch(level)
        if not touched and not self._down:
            self._rest += (level - self._rest) // 16  # the pad drifts with damp and warmth
        if touched == self._down:
            self._looks = 0
            return
        if not self._looks:
            self._touched_ticks = time.ticks_ms()
        self._looks += 1
        if self._looks >= (_TOUCHES if touched else _LET_GO):
            self._down, self._looks = touched, 0
            if touched:
                self.press(self.kind, ticks=self._touched_ticks)

    def _is_touch(self, level):
        """Whether the pad is touched, by the reading at rest; 0 is no reading."""
        if not level:
            return False
        if self._percent < 100:
            return level * 100 < self._rest * self._percent
        return level * 100 > self._rest * self._percent
