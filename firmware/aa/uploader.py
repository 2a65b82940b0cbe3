"""Hands the bytes of waiting photos over by FTP, one by one, for as long as it takes.

Newest first while the owner waits for the photo just taken, then oldest first. The session is opened before anyone
presses, and kept open.
"""

import asyncio
import time

from aa import log
from aa.backoff import Backoff
from aa.ftp import Ftp
from aa.ftpwire import FtpError, FtpLost
from aa.queue import MediumError

DOWN, CONNECTING, IDLE, SENDING, REFUSED = "down", "connecting", "up", "sending", "refused"
_LIVE_MS = 60_000
_NOOP_EVERY_MS = 45_000
_REFUSED_PAUSE_MS = (5_000, 60_000, 600_000)
_LOST = (OSError, EOFError, FtpLost, asyncio.TimeoutError)


class Uploader:
    """Takes photos from `queue`; `on_delivered(entry)` is called for each that the server has."""

    def __init__(self, secrets, queue, on_delivered):
        there = secrets["ftp"]
        self._ftp = Ftp(there["host"], there["port"], secrets["camera"], secrets["token"])
        self._queue = queue
        self._on_delivered = on_delivered
        self._stale = False
        self.state = DOWN
        self.changed = lambda: None

    def drop(self):
        """The network was gone: don't trust the session."""
        self._stale = True
        self._queue.changed.set()

    def _become(self, state):
        self.state = state
        self.changed()

    async def run(self, wifi):
        """Work for ever. `wifi.wait_up()` is awaited before each try to connect."""
        backoff = Backoff()
        said = None
        while True:
            await wifi.wait_up()
            try:
                self._become(CONNECTING)
                await self._ftp.open()
                self._stale = False
                log.info("ftp up")
                said = None
                await self._work(backoff)
            except _LOST as cause:
                self._become(DOWN)
                why = log.words(cause)
            except FtpError as cause:
                self._become(REFUSED)
                why = log.words(cause)
            finally:
                await self._ftp.close()
            if said != why:
                said = why
                log.warning("ftp down", why=why)
            await asyncio.sleep_ms(backoff.next_ms())

    async def _work(self, backoff):
        """Hand over what waits, then keep the session alive until more comes."""
        while not self._stale:
            entry = self._next()
            if entry is None:
                self._become(IDLE)
                self._queue.changed.clear()
                if self._next() is None and not await self._something_changed():
                    await self._ftp.noop()
                backoff.reset()
                continue
            self._become(SENDING)
            await self._hand_over(entry)
            backoff.reset()
        raise FtpLost("the network was gone")

    async def _something_changed(self):
        try:
            await asyncio.wait_for_ms(self._queue.changed.wait(), self._pause_ms())
        except asyncio.TimeoutError:
            return False
        return True

    def _pause_ms(self):
        pauses = [_NOOP_EVERY_MS]
        now = time.ticks_ms()
        for entry in self._queue:
            if not entry.delivered:
                pauses.append(max(1, _put_off_ms(entry, now)))
        return min(pauses)

    def _next(self):
        """Return the photo to hand over now, or None."""
        now = time.ticks_ms()
        ready = []
        for entry in self._queue:
            if not entry.delivered and not _put_off_ms(entry, now):
                ready.append(entry)
        if not ready:
            return None
        newest = ready[-1]
        live = newest.taken_ticks is not None and 0 <= time.ticks_diff(now, newest.taken_ticks) < _LIVE_MS
        return newest if live else ready[0]

    async def _hand_over(self, entry):
        started = time.ticks_ms()
        try:
            await self._send(entry, self._queue.facts(entry), entry.photo + ".jpg")
        except FtpError as refusal:
            self._put_off(entry, refusal)
            if refusal.code == 421:
                raise FtpLost("the server is leaving")
            return
        except MediumError as cause:  # maybe in the middle of it: the session is in doubt
            self._put_off(entry, cause)
            raise FtpLost("a photo can't be read")
        entry.again = False
        entry.refusals = 0
        log.info("photo delivered", photo=entry.photo, ms=time.ticks_diff(time.ticks_ms(), started))
        self._on_delivered(entry)

    async def _send(self, entry, facts, name):
        total = facts["bytes"]
        have = 0
        if not entry.fresh and not entry.again:  # an earlier try may have left a part, or all of it
            have = await self._ftp.size(name)
            if have == total:
                return
        entry.fresh = False
        with self._queue.open(entry) as file:
            await self._ftp.store(name, file, total, facts["sha256"], have if have < total else 0)

    def _put_off(self, entry, cause):
        """Try the others first. The photo stays here: the server may be mended, or the card put back."""
        log.warning("photo put off", photo=entry.photo, why=log.words(cause))
        pause = _REFUSED_PAUSE_MS[min(entry.refusals, len(_REFUSED_PAUSE_MS) - 1)]
        entry.refusals += 1
        entry.not_before_ticks = time.ticks_add(time.ticks_ms(), pause)


def _put_off_ms(entry, now):
    """Return for how long a photo is put off; 0 also for an instant so far ahead that ticks have wrapped since."""
    if entry.not_before_ticks is None:
        return 0
    left = time.ticks_diff(entry.not_before_ticks, now)
    return left if 0 < left <= _REFUSED_PAUSE_MS[-1] else 0
