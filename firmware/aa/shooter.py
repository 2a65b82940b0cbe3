"""From a press to a photo that a power cut can't take: the frame of that moment, written down, then announced."""

import asyncio
import gc
import time

from aa import log
from aa.capture import NoFrame
from aa.ids import new_photo_id
from aa.pulse import Pulse
from aa.queue import StorageFull

_MOST_FAILURES = 3
_PHOTO_MS = 60_000


class Shooter:
    """Takes the photos of `app`: of its shutter, with its sensor, into its storage."""

    def __init__(self, app):
        self._app = app
        self._resetting = None
        self._failures = 0
        self._first = asyncio.Event()
        self.pulse = Pulse()

    async def first_photo(self, timeout_ms):
        """Return once the first photo is written down, or could not be had, or has taken too long."""
        try:
            await asyncio.wait_for_ms(self._first.wait(), timeout_ms)
        except asyncio.TimeoutError:
            log.warning("no photo yet")

    async def run(self):
        """Work for ever, press by press."""
        app = self._app
        try:
            app.sensor.open()
        except NoFrame as cause:
            log.error("no camera", cause)  # each press tries again
        while True:
            self.pulse.rest()
            press = await app.shutter.wait()
            self.pulse.within(_PHOTO_MS)
            app.expect_photo()
            app.sleeper.activity(by_owner=press.command is None)
            try:
                await self._shoot(press)
                self._failures = 0
            except Exception as cause:  # whatever it was, the next press is to find a camera
                self._failures += not isinstance(cause, StorageFull)
                self._no_photo(press, cause)
            finally:
                self._first.set()
                app.shutter.done()
            app.face.changed()
            gc.collect()
            self._reset_if_hopeless()

    def _reset_if_hopeless(self):
        """A driver that hangs needs a reset, and so does a card."""
        if self._resetting is None and (self._failures >= _MOST_FAILURES or self._app.storage.is_failing):
            log.error("sensor or card hangs: reset")
            self._resetting = asyncio.create_task(self._app.power.reboot())  # beside this: presses still count

    def _no_photo(self, press, cause):
        log.error("no photo", cause, trigger=press.trigger)
        self._app.face.last = "NO PHOTO: " + type(cause).__name__
        if press.command:
            code = "storage_full" if isinstance(cause, StorageFull) else "no_photo"
            self._app.commands.finish(press.command, False, code, log.words(cause))

    async def _shoot(self, press):
        app = self._app
        stamp = app.clock.stamp(time.ticks_diff(time.ticks_ms(), press.ticks))
        async with app.sensor.lock:
            frame, width, height = await app.sensor.shoot()
            captured = time.ticks_ms()
            facts = {
                "photo": new_photo_id(),
                "seq": app.queue.next_seq(),
                "trigger": press.trigger,
                "command": press.command,
                "width": width,
                "height": height,
                "stage_ms": {"captured": time.ticks_diff(captured, press.ticks)},
            }
            facts.update(stamp)
            entry = await app.storage.keep(frame, facts, captured)
            app.sensor.release()
        entry.taken_ticks = press.ticks
        app.announcer.say(entry, facts)
        log.info("photo taken", photo=entry.photo, seq=entry.seq, bytes=facts["bytes"], trigger=press.trigger)
        app.face.last = "#{} taken".format(entry.seq)
        if press.command:
            app.commands.finish(press.command, True)
