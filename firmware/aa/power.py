"""How a run of the firmware ends: in deep sleep or by a reset, and never with a press that nobody took."""

import asyncio
import time

import machine

from aa import log

_CONSOLE_MS = 50  # the serial console finishes its line
_STILL_MS = 20_000
_LOOK_EVERY_MS = 50


class Power:
    """Ends the run of `app`, which has board, wifi, display, sensor, shutter, and `leave()`."""

    def __init__(self, app):
        self._app = app

    def deep_sleep(self, wake_ms):
        """Switch everything off until the next press or `wake_ms`. Returns only when a press came just in time."""
        shutter = self._app.shutter
        if shutter.busy:
            return
        shutter.arm()  # first: from here on a press is either seen, or wakes the chip
        for switch_off in (self._app.wifi.stop, self._app.display.off, self._app.sensor.close):
            try:
                switch_off()
            except Exception as cause:
                log.error("can't be switched off", cause)
            shutter.look()
        for _ in range(_CONSOLE_MS // 10):
            time.sleep_ms(10)
            shutter.look()
        if not shutter.busy:
            self._app.board.deep_sleep(wake_ms)

    async def reboot(self, grace_ms=0):
        """Say good-bye, and reset the chip. Does not return."""
        try:
            await self._still()
            await self._app.leave("offline", grace_ms)
        except Exception as cause:
            log.error("no good-bye", cause)
        await self.start_anew()

    async def start_anew(self):
        """Reset the chip, after the photos of presses that came before. Does not return."""
        await self._still()
        machine.reset()

    async def _still(self):
        """Return once no press waits and no photo is being taken, or after a while all the same."""
        until = time.ticks_add(time.ticks_ms(), _STILL_MS)
        while self._app.shutter.busy and time.ticks_diff(until, time.ticks_ms()) > 0:
            await asyncio.sleep_ms(_LOOK_EVERY_MS)
