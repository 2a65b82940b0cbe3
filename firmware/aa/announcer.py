"""Says by MQTT which photos were taken, and says it again until the server has answered."""

import asyncio
import time

from aa import log
from aa.link import UP
from aa.messages import BadMessage, decode_ack, encode_manifest
from aa.pulse import Pulse
from aa.queue import MediumError

_REPEAT_MS = 15_000
_MOST_REPEAT_MS = 600_000
_AT_ONCE = 8
_PAUSE_MS = 50
_MARK_AGAIN_MS = 10_000
_STEP_MS = 60_000


class Announcer:
    """Announces the photos of `queue` over `mqtt`; `on_sleep_ok(nonce)` is called when the server lets us sleep."""

    def __init__(self, queue, clock, mqtt, on_sleep_ok):
        self._queue, self._clock, self._mqtt = queue, clock, mqtt
        self._on_sleep_ok = on_sleep_ok
        self._wake = asyncio.Event()
        self.pulse = Pulse()
        self._marked_ticks = time.ticks_ms()

    def wake(self):
        """There may be something to say."""
        self._wake.set()

    def say_all_again(self):
        """A new connection: what the last one carried may be lost."""
        for entry in self._queue:
            entry.said_ticks = None
            entry.said_times = 0
        self.wake()

    def say(self, entry, facts):
        """Announce one photo. Returns False while there is no connection."""
        if not self._mqtt.publish("shutter", encode_manifest(facts, self._clock.when(facts))):
            return False
        entry.said_ticks = time.ticks_ms()
        entry.said_times += 1
        return True

    def _say_again(self, entry):
        try:
            self.say(entry, self._queue.facts(entry))
        except MediumError as cause:
            log.warning("photo can't be announced", photo=entry.photo, why=log.words(cause))
            entry.said_ticks = time.ticks_ms()
            entry.said_times += 1

    async def run(self):
        """Work for ever: newest first, a few at a time."""
        while True:
            self.pulse.within(_STEP_MS)
            self._mark_again()
            due = self._due()
            for entry in due[:_AT_ONCE]:
                self._say_again(entry)
                await asyncio.sleep_ms(0)  # to read a marker takes long in a large folder
            if len(due) > _AT_ONCE:
                await asyncio.sleep_ms(_PAUSE_MS)
                continue
            try:
                await asyncio.wait_for_ms(self._wake.wait(), 1_000)
            except asyncio.TimeoutError:
                pass
            self._wake.clear()

    def _mark_again(self):
        """What the server has, but whose marker could not be renamed, is marked once more."""
        now = time.ticks_ms()
        if 0 <= time.ticks_diff(now, self._marked_ticks) < _MARK_AGAIN_MS:
            return
        self._marked_ticks = now
        for entry in self._queue:
            if entry.announced and entry.delivered:
                try:
                    self._queue.mark(entry)
                except OSError as cause:
                    log.warning("photo can't be marked as handed over", photo=entry.photo, why=log.words(cause))

    def _due(self):
        if self._mqtt.state != UP:
            return []
        now = time.ticks_ms()
        due = [entry for entry in self._queue if not entry.announced and self._is_due(entry, now)]
        due.reverse()
        return due

    def _is_due(self, entry, now):
        if entry.said_ticks is None:
            return True
        pause_ms = min(_REPEAT_MS << min(entry.said_times - 1, 10), _MOST_REPEAT_MS)
        return time.ticks_diff(now, entry.said_ticks) >= pause_ms

    def take_ack(self, body):
        """Read an acknowledgement from the server."""
        try:
            ack = decode_ack(body)
        except BadMessage as cause:
            log.warning("bad ack", why=log.words(cause))
            return
        self._clock.sync(ack["now_ms"])
        if "photo" in ack:
            self._mark(ack["photo"], ack["state"])
        elif ack.get("sleep_ok"):
            self._on_sleep_ok(ack["nonce"])

    def _mark(self, photo, state):
        if state == "resend":
            self._queue.want(photo)
            return
        entry = self._queue.find(photo)
        if entry is not None:  # else it is known no longer; if it waits, it is announced once more
            self._queue.mark(entry, announced=True, delivered=state == "stored")
