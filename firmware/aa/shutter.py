"""The shutter: presses of a button or a touch pad, and of whoever asks from afar, one after the other.

A press never waits for the network, nor for the photo before: it is noted with its time, and taken in turn.
"""

import asyncio
import time

import machine

_BOUNCE_MS = 50
_TOUCH_EVERY_MS = 20
_LOOK_EVERY_MS = 10
_MOST_WAITING = 8


class Press:
    """One press: what released the shutter, when, and for which command."""

    def __init__(self, trigger, ticks, command=None):
        self.trigger = trigger
        self.ticks = ticks
        self.command = command


class Shutter:
    """`profile` is the board's: {"kind": "button", "pin", "active"} or {"kind": "touch", "pin", "percent"}."""

    def __init__(self, profile):
        self.kind = profile["kind"]
        self.discarded = 0
        self._shooting = False
        self._presses = []
        self._last_ticks = time.ticks_add(time.ticks_ms(), -_BOUNCE_MS)
        if self.kind == "button":
            self._active = profile["active"]
            self._pin = machine.Pin(profile["pin"], machine.Pin.IN, machine.Pin.PULL_UP)
            self._pin.irq(self._edge, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)
        else:
            self._pad = machine.TouchPad(machine.Pin(profile["pin"]))
            self._rest = self._pad.read()
            self._percent = profile["percent"]
            self._down = False

    def _edge(self, pin):
        now = time.ticks_ms()
        quiet = not 0 <= time.ticks_diff(now, self._last_ticks) < _BOUNCE_MS  # after days, ticks have wrapped
        self._last_ticks = now
        if quiet and pin.value() == self._active:
            self.press(self.kind)

    def press(self, trigger, command=None):
        """Note a press. Returns False when too many wait already: that one is not taken."""
        if len(self._presses) >= _MOST_WAITING:
            self.discarded += 1
            return False
        self._presses.append(Press(trigger, time.ticks_ms(), command))
        return True

    async def wait(self):
        """Return the next press."""
        while not self._presses:
            await asyncio.sleep_ms(_LOOK_EVERY_MS)  # an interrupt may note a press, but not wake a task
        self._shooting = True
        return self._presses.pop(0)

    def done(self):
        """The photo of the last press is taken, or has failed."""
        self._shooting = False

    @property
    def busy(self):
        """Whether a press waits, or its photo is being taken."""
        return bool(self._presses) or self._shooting

    def arm(self):
        """Have a press wake the chip from deep sleep."""
        import esp32

        if self.kind == "touch":
            self._pad.config(self._rest * self._percent // 100)
            esp32.wake_on_touch(True)
        else:
            esp32.wake_on_ext0(self._pin, esp32.WAKEUP_ANY_HIGH if self._active else esp32.WAKEUP_ALL_LOW)

    async def watch(self):
        """Look at the touch pad for ever, for it has no interrupt; a button needs no watching."""
        if self.kind != "touch":
            return
        while True:
            self.look()
            await asyncio.sleep_ms(_TOUCH_EVERY_MS)

    def look(self):
        """Look at the touch pad once; a button needs no looking at."""
        if self.kind != "touch":
            return
        level = self._pad.read()
        touched = level * 100 < self._rest * self._percent
        if touched and not self._down:
            self.press(self.kind)
        elif not touched:
            self._rest += (level - self._rest) // 16  # the pad drifts with damp and warmth
        self._down = touched
