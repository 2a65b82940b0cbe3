"""How a run of the firmware ends or rests: in deep sleep, in light sleep, by a reset; never with a press not taken."""

import asyncio
import time

import machine

from aa import log

_CONSOLE_MS = 50  # the serial console finishes its line
_STILL_MS = 120_000  # so long a press may take that gets somewhere: its frame, and the card, a minute each
_LOOK_EVERY_MS = 50
_LONGEST_DOZE_MS = 5 * 86_400_000  # an ESP32's ticks tell no more than 6.2 days apart, and asyncio lives by them


class Power:
    """Ends the run of `app`, which has board, wifi, display, sensor, shutter, and `leave()`."""

    def __init__(self, app):
        self._app = app

    def deep_sleep(self, wake_ms):
        """Switch everything off until the next press or `wake_ms`. Returns only when a press came just in time."""
        app = self._app
        if self._go_dark((app.wifi.stop, app.display.off, app.sensor.close)):
            app.board.deep_sleep(wake_ms)

    def light_sleep(self, wake_ms):
        """Stop chip and radio until the next press or `wake_ms`; the sensor stays ready. Returns by which it woke."""
        app = self._app
        woken_by = "press"
        if self._go_dark((app.wifi.stop, app.display.off)):
            woken_by = app.board.light_sleep(min(wake_ms or _LONGEST_DOZE_MS, _LONGEST_DOZE_MS))
            app.shutter.wake(woken_by == "press")
        if woken_by == "press" and not app.shutter.busy:
            app.shutter.press(app.shutter.kind)  # its edge came while nobody could see it
        return woken_by

    def _go_dark(self, switches):
        """Switch things off. Returns False when a press came meanwhile: it is not to sleep."""
        shutter = self._app.shutter
        if shutter.busy:
            return False
        shutter.arm()  # first: from here on a press is either seen, or wakes the chip
        for switch_off in switches:
            try:
                switch_off()
            except Exception as cause:
                log.error("can't be switched off", cause)
            shutter.look()
        for _ in range(_CONSOLE_MS // 10):
            time.sleep_ms(10)
            shutter.look()
        return not shutter.busy

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
        """Return once no press waits and no photo is being taken; or when no press has come to its end for long."""
        shutter = self._app.shutter
        ended, since = shutter.ended, time.ticks_ms()
        while shutter.busy and time.ticks_diff(time.ticks_ms(), since) < _STILL_MS:
            await asyncio.sleep_ms(_LOOK_EVERY_MS)
            if shutter.ended != ended:
                ended, since = shutter.ended, time.ticks_ms()
