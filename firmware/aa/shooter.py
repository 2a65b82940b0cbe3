"""From a press to a photo that a power cut can't take: the frame of that moment, written down, then announced.

Two tasks: one fetches frames, one writes them down. Between them a few frames wait in RAM, so that a press while the
card is slow gets the frame of its moment, and not of when the card was done.
"""

import asyncio
import time

from aa import log
from aa.battery import CRITICAL
from aa.capture import NoFrame
from aa.ids import new_photo_id
from aa.pulse import Pulse
from aa.queue import StorageFull

_MOST_FAILURES = 3
_PHOTO_MS = 60_000
_IN_RAM = 2
_MOST_TRIES, _TRY_AGAIN_MS = 10, 300
_ROUND_BYTES = 16_384


class BatteryEmpty(Exception):
    """No photo is taken: it might be the last thing that the battery does, and end torn."""


class _Taken:
    """A frame on its way to the card, and the buffer in RAM that it has to itself; `captured` are its ticks."""

    is_copy = False

    def __init__(self, press, facts, captured):
        self.press, self.facts, self.captured = press, facts, captured
        self.frame = self.room = None


class Shooter:
    """Takes the photos of `app`: of its shutter, with its sensor, into its storage."""

    def __init__(self, app):
        self._app = app
        self._resetting = None
        self._failures = 0
        self._discarded = 0
        self._taken = []
        self._rooms = [bytearray(0) for _ in range(_IN_RAM)]
        self._news = asyncio.Event()  # a frame waits to be written down
        self._written = asyncio.Event()
        self._first = asyncio.Event()
        self.pulse, self.keeping = Pulse(), Pulse()  # of the two tasks

    async def first_photo(self, timeout_ms):
        """Return once the first photo is written down, or could not be had, or has taken too long."""
        try:
            await asyncio.wait_for_ms(self._first.wait(), timeout_ms)
        except asyncio.TimeoutError:
            log.warning("no photo yet")

    async def run(self):
        """Fetch frames for ever, press by press."""
        app = self._app
        self.pulse.within(_PHOTO_MS)
        await self._start()
        while True:
            self.pulse.rest()
            press = await app.shutter.wait()
            app.face.pressed()
            app.sleeper.activity(by_owner=press.command is None)
            app.board.light(True)
            while not self._rooms:
                self._written.clear()
                await self._written.wait()
            self.pulse.within(_PHOTO_MS)
            try:
                await self._fetch(press)
            except Exception as cause:  # whatever it was, the next press is to find a camera
                try:
                    self._no_photo(press, cause)
                finally:
                    self._done()
            self._say_discarded()

    async def _start(self):
        """Have the sensor ready before the first press; who woke by the timer may need none."""
        app = self._app
        if app.woken_by == "timer":
            return
        try:
            async with app.sensor.lock:
                app.sensor.open()
                await app.sensor.settle()
        except NoFrame as cause:
            log.error("no camera", cause)  # each press tries again
            app.face.failed(cause)

    def _say_discarded(self):
        discarded = self._app.shutter.discarded
        if discarded != self._discarded:
            log.warning("presses not taken: too many waited", all=discarded)
            self._discarded = discarded

    async def _fetch(self, press):
        """Get the frame of a press, and leave it to `keep_for_ever`."""
        app = self._app
        if app.battery_state() == CRITICAL:
            raise BatteryEmpty("battery empty: no photo")
        app.expect_photo()
        stamp = app.clock.stamp(time.ticks_diff(time.ticks_ms(), press.ticks))
        async with app.sensor.lock:
            shot = await app.sensor.shoot()
            captured = time.ticks_ms()
            facts = {
                "photo": new_photo_id(),
                "trigger": press.trigger,
                "command": press.command,
                "width": shot.width,
                "height": shot.height,
                "stage_ms": {"captured": time.ticks_diff(captured, press.ticks)},
            }
            if shot.labels:
                facts["labels"] = shot.labels
            facts.update(stamp)
            taken = self._into_ram(shot.frame, _Taken(press, facts, captured))
            self._taken.append(taken)
            self._news.set()
            while taken.frame is shot.frame:  # no RAM for a copy: the sensor waits for the card
                self._written.clear()
                await self._written.wait()
            app.sensor.release()

    def _into_ram(self, frame, taken):
        """Give `taken` a copy of the frame, so that the sensor is free at once; the frame itself if RAM is short."""
        size = len(frame)
        taken.room = self._rooms.pop()
        taken.frame = frame
        try:
            if len(taken.room) < size:
                taken.room = bytearray((size // _ROUND_BYTES + 1) * _ROUND_BYTES)
            copy = memoryview(taken.room)[:size]
        except MemoryError:  # maybe too little to say so: that comes once the photo is written down
            return taken
        copy[:] = frame
        taken.frame, taken.is_copy = copy, True
        return taken

    async def keep_for_ever(self):
        """Write frames down for ever, in the order in which they were taken."""
        while True:
            while self._taken:
                taken = self._taken[0]
                self.keeping.within(_PHOTO_MS)
                try:
                    await self._keep(taken)
                    self._failures = 0
                except Exception as cause:
                    self._no_photo(taken.press, cause)
                finally:
                    self._taken.pop(0)
                    self._rooms.append(taken.room)
                    taken.frame = None
                    self._done()
            self.keeping.rest()
            self._news.clear()
            await self._news.wait()

    async def _keep(self, taken):
        app, press, facts = self._app, taken.press, taken.facts
        facts["seq"] = app.queue.next_seq()
        entry = await self._write_down(taken)
        entry.taken_ticks = press.ticks
        self._count_cost(entry, press)
        app.announcer.say(entry, facts)
        doubts = {"labels": facts["labels"]} if "labels" in facts else {}
        log.info("photo taken", photo=entry.photo, seq=entry.seq, bytes=facts["bytes"], trigger=press.trigger, **doubts)
        app.face.taken(entry)
        if press.command:
            app.commands.finish(press.command, True)
        if not taken.is_copy:
            log.warning("no RAM to copy a frame: the sensor waited for the card", bytes=facts["bytes"])

    async def _write_down(self, taken):
        """Return the entry of a photo once it is on the card; RAM may be short for a moment, as while TLS begins."""
        left = _MOST_TRIES
        while True:
            try:
                return await self._app.queue.add(taken.frame, taken.facts, taken.captured)
            except MemoryError:
                left -= 1
                if not left:
                    raise
            await asyncio.sleep_ms(_TRY_AGAIN_MS)

    def _count_cost(self, entry, press):
        app = self._app
        woke = app.woken_by == "press" and not self._first.is_set()
        camera_ms = app.clock.uptime_ms() if woke else time.ticks_diff(time.ticks_ms(), press.ticks)
        app.cost.kept(entry, camera_ms, woke)

    def _done(self):
        """A press is over."""
        app = self._app
        self._first.set()
        self._written.set()
        app.shutter.done()
        app.board.light(app.shutter.busy)
        app.face.changed()
        self._reset_if_hopeless()

    def _reset_if_hopeless(self):
        """A driver that hangs needs a reset, and so does a card; one that was pulled is looked for at the next boot."""
        hangs = self._failures >= _MOST_FAILURES
        if self._resetting is None and (hangs or self._app.storage.is_failing):
            log.error(
                "sensor hangs: reset" if hangs else "card out, or broken: photos wait on flash; put it back; reset"
            )
            self._resetting = asyncio.create_task(self._app.power.reboot())  # beside this: presses still count

    def _no_photo(self, press, cause):
        self._failures += not isinstance(cause, (StorageFull, BatteryEmpty))
        expected = isinstance(cause, (StorageFull, BatteryEmpty, NoFrame))
        log.error("no photo", None if expected else cause, why=log.words(cause), trigger=press.trigger)
        self._app.face.failed(cause)
        if press.command:
            self._app.commands.finish(press.command, False, _CODES.get(type(cause), "no_photo"), log.words(cause))


_CODES = {StorageFull: "storage_full", BatteryEmpty: "battery_empty"}
