"""Hands the bytes of waiting photos over by FTP, one by one, for as long as it takes.

Newest first while the owner waits for the photo just taken, then oldest first. The session is opened before anyone
presses, and kept open; at a press the data connection is opened too. While no photo waits, others may use the session
(`between`).
"""

import asyncio
import time

from aa import log, photofiles, troubles
from aa.ftp import PREPARED_MS, Ftp
from aa.ftpwire import FtpError, FtpLost
from aa.link import UP, Link
from aa.queue import MediumError
from aa.tls import Tls

SENDING, FETCHING = "sending", "fetching"
_LIVE_MS = 60_000
_NOOP_EVERY_MS = 45_000
_ERRAND_MS = 200_000
_STEP_MS = 240_000  # the longest that one of its steps may take: each has a deadline of its own
_REFUSED_PAUSE_MS = (5_000, 60_000, 600_000)
_BROKEN_PAUSE_MS = (500, 1_000, 5_000, 30_000)
_NOT_AS_ANNOUNCED = 550  # the server's word for bytes that are not those of the SHA-256
_BROKEN = (425, 426)  # the data connection, that is the network: nothing is wrong with the photo, or with the server


class _Errand:
    """Something else to do with the session."""

    def __init__(self, work):
        self.work = work
        self.done = asyncio.Event()
        self.cause = None


class Uploader(Link):
    """Takes photos from `queue`; `on_delivered(entry)` is called for each that the server has.

    While it is `SENDING`, `sending` is the photo's entry and `percent` how much of it has left.
    """

    def __init__(self, secrets, queue, on_delivered, tls=None):
        super().__init__("ftp")
        there = secrets["ftp"]
        tls = (tls or Tls()) if there.get("tls") else None
        self._ftp = Ftp(there["host"], there["port"], secrets["camera"], secrets["token"], tls)
        self._ftp.sent = self._note_sent
        self._queue = queue
        self._on_delivered = on_delivered
        self._expected = False
        self._errands = []
        self.sending = None
        self.percent = 0

    def expect(self):
        """A photo is being taken: have a connection ready for it."""
        self._expected = True
        self.hurry()
        self._queue.changed.set()

    async def between(self, work):
        """Do `await work(ftp)` on the session once no photo waits for it; raises what that raises."""
        errand = _Errand(work)
        self._errands.append(errand)
        self._queue.changed.set()
        try:
            await errand.done.wait()
        finally:
            if errand in self._errands:
                self._errands.remove(errand)
        if errand.cause is not None:
            raise errand.cause

    async def _run_errand(self):
        errand = self._errands.pop(0)
        errand.cause = FtpLost("the session ended")
        self.become(FETCHING)
        try:
            await asyncio.wait_for_ms(errand.work(self._ftp), _ERRAND_MS)
            errand.cause = None
            self.did_well()
        except Exception as cause:
            errand.cause = cause
            if not isinstance(cause, FtpError) or cause.code == 421:
                raise FtpLost("the session is in doubt: " + log.words(cause))
        finally:
            errand.done.set()
            self.become(UP)

    async def run(self, wifi):
        """Work for ever. `wifi.wait_up()` is awaited before each try to connect."""
        await self.keep_up(wifi.wait_up, self._connect)

    async def _connect(self):
        self.pulse.within(_STEP_MS)
        try:
            await self._ftp.open()
            self.be_up()
            log.info("ftp up")
            while True:
                await self._step()
        finally:
            self.sending = None
            await self._ftp.close()

    async def _step(self):
        """Hand over one photo, or wait until there is one, and keep the session alive meanwhile."""
        self.pulse.within(_STEP_MS)
        entry = self._next()
        if entry is not None:
            await self._hand_over(entry)
            return
        if self._errands and not self._expected and not self._ftp.is_prepared:
            await self._run_errand()
            return
        self._queue.changed.clear()
        if self._expected:
            await self._prepare()
        elif not await self._something_changed():
            await self._ftp.noop()
            self.heard()

    async def _prepare(self):
        self._expected = False
        try:
            await self._ftp.prepare()
        except FtpError as cause:
            log.warning("no data connection yet", why=log.words(cause))

    async def _something_changed(self):
        try:
            await asyncio.wait_for_ms(self._queue.changed.wait(), self._pause_ms())
        except asyncio.TimeoutError:
            return False
        return True

    def _pause_ms(self):
        pauses = [PREPARED_MS if self._ftp.is_prepared else _NOOP_EVERY_MS]
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
        self.sending, self.percent = entry, 0
        self.become(SENDING)
        try:
            await self._send(entry, self._queue.facts(entry), entry.photo + ".jpg")
        except FtpError as refusal:
            self._put_off(entry, await self._blame(entry, refusal))
            if refusal.code == 421:
                raise
            return
        except MediumError as cause:  # maybe in the middle of it: the session is in doubt
            self._put_off(entry, cause)
            raise FtpLost("a photo can't be read")
        finally:
            self._expected = False
            self.sending = None
            self.become(UP)
        entry.again = False
        entry.refusals = entry.breaks = 0
        self.lasting = None
        self.did_well()
        entry.send_ms = time.ticks_diff(time.ticks_ms(), started)
        log.info("photo delivered", photo=entry.photo, ms=entry.send_ms)
        self._on_delivered(entry)

    def _note_sent(self, done, total):
        """Called for each piece of a photo that has left."""
        self.pulse.within(_STEP_MS)
        percent = done * 100 // total
        if percent != self.percent:
            self.percent = percent
            self.changed()

    async def _send(self, entry, facts, name):
        total = facts["bytes"]
        have = 0
        if not entry.fresh and not entry.again:  # an earlier try may have left a part, or all of it
            have = await self._ftp.size(name)
            if have == total:
                return
            if have > entry.had:
                entry.breaks = 0  # it gets there, if only piece by piece
            entry.had = have
        entry.fresh = False
        with self._queue.open(entry) as file:
            await self._ftp.store(name, file, total, facts["sha256"], have if have < total else 0)

    async def _blame(self, entry, refusal):
        """Return why a photo does not go: where the server saw other bytes than announced, the card may be to blame."""
        if refusal.code != _NOT_AS_ANNOUNCED:
            return refusal
        self.pulse.within(_STEP_MS)
        try:
            await photofiles.check(entry.base, self._queue.facts(entry))
        except MediumError as cause:
            return cause
        return refusal

    def _put_off(self, entry, cause):
        """Try the others first. The photo stays here: the server may be mended, or the card put back."""
        log.warning("photo put off", photo=entry.photo, why=log.words(cause))
        self.trouble = self.lasting = troubles.of_photo(cause)
        if getattr(cause, "code", None) in _BROKEN:
            pause = _BROKEN_PAUSE_MS[min(entry.breaks, len(_BROKEN_PAUSE_MS) - 1)]
            entry.breaks += 1
        else:
            pause = _REFUSED_PAUSE_MS[min(entry.refusals, len(_REFUSED_PAUSE_MS) - 1)]
            entry.refusals += 1
        entry.not_before_ticks = time.ticks_add(time.ticks_ms(), pause)


def _put_off_ms(entry, now):
    """Return for how long a photo is put off; 0 also for an instant so far ahead that ticks have wrapped since."""
    if entry.not_before_ticks is None:
        return 0
    left = time.ticks_diff(entry.not_before_ticks, now)
    return left if 0 < left <= _REFUSED_PAUSE_MS[-1] else 0
