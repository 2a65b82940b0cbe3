"""Going to sleep without leaving anything behind: a handshake with the server, and no surprise for anyone.

The queue is emptied within a deadline; `intent` asks for leave, so that the server can hand over what waits for this
camera; with its `sleep_ok`, or without an answer in time, `going` and presence `asleep` are said. Then it is off.
"""

import asyncio
import os
import time

from aa import log
from aa.messages import encode_sleep
from aa.pulse import Pulse

_DRAIN_MS = 30_000
_LINK_MS = 40_000  # a camera that woke by itself waits so long for its broker
_SAY_AGAIN_MS = 2_000
_LOW_IDLE_MS = 60_000  # with a low battery nobody idles longer
_LOOK_EVERY_MS = 200
_GO_MS = 240_000  # both drains, the handshake, the good-bye, and the photos of late presses


class Sleeper:
    """Decides when `app` sleeps, and takes it there."""

    def __init__(self, app, woken_by_timer, answer_ms=6_000):
        self._app = app
        self._answer_ms = answer_ms
        self._active_ticks = time.ticks_ms()
        self._brief = woken_by_timer  # it woke to hear what waits for it, not to be used
        self._presses = 0
        self._asked = None
        self._nonce = None
        self._leave = asyncio.Event()
        self.pulse = Pulse()

    def activity(self, by_owner=False):
        """Someone uses the camera: the idle time starts anew. `by_owner`: it is in someone's hand."""
        self._active_ticks = time.ticks_ms()
        self._brief = self._brief and not by_owner
        self._presses += by_owner

    def ask(self, reason, wake_ms):
        """Sleep as soon as the way is clear; `wake_ms` 0 means until someone presses."""
        self._asked = (reason, wake_ms)

    def allowed(self, nonce):
        """The server lets us go."""
        if nonce == self._nonce:
            self._leave.set()

    async def run(self):
        """Watch for idleness, an empty battery and requests, for ever."""
        while True:
            self.pulse.within(_GO_MS)
            await asyncio.sleep_ms(_LOOK_EVERY_MS)
            if self._asked is None:
                reason = self._reason()
                if reason is None:
                    continue
                self._asked = (reason, self._app.settings["wake_every_ms"])
            (reason, wake_ms), self._asked = self._asked, None
            await self._go(reason, wake_ms)

    def _reason(self):
        """Return why to sleep now, unasked, or None."""
        battery = self._app.battery_state()
        if battery == "critical":
            return "battery"
        quiet_ms = time.ticks_diff(time.ticks_ms(), self._active_ticks)
        if self._brief:  # the handshake itself brings what waits: there is nothing to stay for
            return "idle" if self._app.is_online() or quiet_ms >= _LINK_MS else None
        limit_ms = self._app.settings["idle_timeout_ms"]
        if battery == "low":
            limit_ms = min(limit_ms or _LOW_IDLE_MS, _LOW_IDLE_MS)
        return "idle" if limit_ms and quiet_ms >= limit_ms else None

    async def _go(self, reason, wake_ms):
        presses = self._presses
        await self._drain()
        await self._ask_leave(reason, wake_ms)
        await self._app.face.good_night(reason, wake_ms)
        await self._drain()  # what the server had waiting may have taken photos
        if self._presses != presses and reason != "battery":
            log.info("sleep put off: the camera is in use")
            self._app.face.stay_up()
            return
        self._say("going", reason, wake_ms)
        log.info("sleep", reason=reason, wake_ms=wake_ms)
        try:
            await self._app.leave("asleep")
            if reason == "idle" and self._app.settings["light_sleep"]:
                self._wake("press" if self._presses != presses else self._app.power.light_sleep(wake_ms))
                return
            if self._presses == presses or reason == "battery":
                self._app.power.deep_sleep(wake_ms)
            log.info("sleep put off: a press came just in time")
        except Exception as cause:
            log.error("sleep failed", cause)
        self.pulse.rest()  # it waits for photos, however many
        await self._app.power.start_anew()  # it said good-bye: only so is it itself again

    def _wake(self, woken_by):
        """Go on after light sleep, in the same run: the links come back by themselves."""
        log.info("awake", by=woken_by)
        self._active_ticks = time.ticks_ms()
        self._brief = woken_by == "timer"
        self._app.face.stay_up()
        self._app.come_back(woken_by)

    async def _drain(self):
        """Let what waits get out, as long as there is a network and some hope."""
        until = time.ticks_add(time.ticks_ms(), _DRAIN_MS)
        while self._app.is_busy():
            if time.ticks_diff(until, time.ticks_ms()) <= 0:
                log.warning("sleep with photos waiting", queue=len(self._app.queue))
                return
            await asyncio.sleep_ms(_LOOK_EVERY_MS)

    async def _ask_leave(self, reason, wake_ms):
        """Say `intent` until the server answers, for as long as there is a link and some hope."""
        self._nonce = int.from_bytes(os.urandom(3), "big")
        self._leave.clear()
        left_ms = self._answer_ms
        while left_ms > 0 and self._say("intent", reason, wake_ms):
            wait_ms = min(_SAY_AGAIN_MS, left_ms)
            left_ms -= wait_ms
            try:
                await asyncio.wait_for_ms(self._leave.wait(), wait_ms)
                return
            except asyncio.TimeoutError:
                pass
        log.warning("sleep without the server's leave")

    def _say(self, phase, reason, wake_ms):
        body = encode_sleep(phase, self._nonce, reason, wake_ms or None, len(self._app.queue))
        return self._app.mqtt.publish("sleep", body)
