"""MicroPython's `machine` for a virtual camera: pins, card, clock, OLED bus and sleep; `bench` is the other end."""

import asyncio
import json
import os
import sys
import time

import bench
import micropython
import watchdog
from card import Card
from oled import Bus
from watchdog import WDT  # noqa: F401 - it belongs to `machine`

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
PIN_WAKE, EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, TOUCHPAD_WAKE, ULP_WAKE = 1, 2, 3, 4, 5, 6

_CAUSES = {
    "power_on": PWRON_RESET,
    "hard": HARD_RESET,
    "watchdog": WDT_RESET,
    "deepsleep": DEEPSLEEP_RESET,
    "soft": SOFT_RESET,
}
_USB_PIN = 34
_Y2K_MS = 946_684_800_000
_woken = None


def reset_cause():
    """Why the chip started, as the program says."""
    return _CAUSES.get(os.getenv("APERTURE_RESET_CAUSE"), PWRON_RESET)


def wake_reason():
    """What ended the last sleep: a light one, or a deep one, of which the program says."""
    if _woken is not None:
        return _woken
    return TIMER_WAKE if os.getenv("APERTURE_WAKE_REASON") == "timer" else EXT0_WAKE


def lightsleep(time_ms=-1):
    """Stop until someone presses or the time is over; RAM stays, and edges of pins are missed, as on a chip."""
    global _woken
    watchdog.rest()
    _woken = EXT0_WAKE if bench.doze(time_ms) else TIMER_WAKE


def deepsleep(time_ms=0):
    """End this run; the program starts the next one when the time is over or someone presses."""
    with open("/state/sleep.json", "w") as file:
        json.dump(time_ms, file)
    sys.exit(bench.DEEP_SLEEP)


def reset():
    """End this run; the program starts the next one."""
    sys.exit(bench.RESET)


def unique_id():
    """A MAC address from the range for local use."""
    return b"\x02\x00\x00\x00\x00\x01"


class Pin:
    """A pin. All presses are on whichever pin has an interrupt."""

    IN, OUT = 0, 1
    PULL_UP, PULL_DOWN = 2, 1
    IRQ_RISING, IRQ_FALLING = 1, 2

    def __init__(self, number, mode=IN, pull=None, value=1, hold=False):
        self.number = number
        self._value = value
        self._handler = None
        self._trigger = 0
        if number == _USB_PIN:
            self._value = 0
            bench.on("usb", self._plug)

    async def _plug(self, state):
        self._value = int(state == "on")

    def value(self, level=None):
        """Return the level, or set it."""
        if level is None:
            return self._value
        self._value = level
        return None

    __call__ = value

    def init(self, *_, **__):
        """Direction and pull make no difference here."""

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING, **_):
        """Have `handler(pin)` called at edges."""
        self._handler, self._trigger = handler, trigger
        bench.on("press", self._press)

    def _set(self, level):
        self._value = level
        if self._handler and self._trigger & (self.IRQ_RISING if level else self.IRQ_FALLING):
            micropython.schedule(self._handler, self)

    async def _press(self, held_ms="80"):
        self._set(0)
        await asyncio.sleep_ms(int(held_ms))
        self._set(1)
        await asyncio.sleep_ms(int(held_ms))


class TouchPad:
    """A touch pad that reads 600 at rest and 200 when touched."""

    def __init__(self, pin):
        self._level = 600
        bench.on("press", self._press)

    def read(self):
        """Return the charge time's count: less means touched."""
        return self._level

    def config(self, threshold):
        """Below this a touch wakes the chip: here it always does."""

    async def _press(self, held_ms="80"):
        self._level = 200
        await asyncio.sleep_ms(int(held_ms))
        self._level = 600
        await asyncio.sleep_ms(int(held_ms))


class ADC:
    """The battery's voltage, divided by two."""

    _battery_mv = 3912

    def __init__(self, pin):
        bench.on("battery", self._set)

    async def _set(self, millivolts):
        ADC._battery_mv = int(millivolts)

    def read_uv(self):
        """Return microvolts at the pin."""
        return ADC._battery_mv * 500


I2C = SoftI2C = Bus


def SDCard(**_):
    """Return the card: a file system of its own.

    Raises:
        OSError: there is none.
    """
    return Card()


class RTC:
    """The clock: it starts at 2000-01-01 with the power, and runs on through deep sleep."""

    def __init__(self):
        self._file = "/state/rtc.json"
        try:
            with open(self._file) as file:
                self._kept = json.load(file)
        except (OSError, ValueError):
            self._kept = {"started_ms": time.time_ns() // 1_000_000, "memory": ""}
            self._save()

    def _save(self):
        with open(self._file, "w") as file:
            json.dump(self._kept, file)

    def datetime(self):
        """Return (year, month, day, weekday, hour, minute, second, microsecond)."""
        passed_ms = time.time_ns() // 1_000_000 - self._kept["started_ms"]
        year, month, day, hour, minute, second, weekday, _ = time.gmtime((_Y2K_MS + passed_ms) // 1000)[:8]
        return year, month, day, weekday, hour, minute, second, passed_ms % 1000 * 1000

    def memory(self, data=None):
        """Return the bytes that survive resets and sleep, or set them."""
        if data is None:
            return self._kept["memory"].encode()
        self._kept["memory"] = data.decode()
        self._save()
        return None
