"""The photos that are not yet handed over, in files, so that a power cut loses none and shows none torn.

A photo is announced once it is written down, and waits until the server has announced it and has its bytes. No other
progress is written down: after a boot everything that waits is announced and offered again, which the server takes as
the same photo.

Below it: `window` (what is known in RAM), `shelf` (one medium: folders and room), `place` (one folder), `photofiles`
(one photo), `flat` (what the version before left). Only the newest folder is read before the first photo can be taken;
`run` looks through the others.
"""

import asyncio

from aa import files, log, photofiles, troubles
from aa.photofiles import PICTURE, MediumError
from aa.place import SENT
from aa.pulse import Pulse
from aa.shelf import StorageFull
from aa.window import Entry, Window

_LOOK_EVERY_MS = 2_000
_STEP_MS = 120_000  # a slow card, and the large folder of the version before
_NO_MEDIUM = 19  # ENODEV


class Queue:
    """The photos on `shelves`: new ones go to the first that takes them. Iterate over those known, oldest first."""

    def __init__(self, shelves, notes):
        self._shelves = shelves
        self._notes = notes
        self._window = Window(shelves)
        self._refilling = asyncio.Lock()
        self._work = asyncio.Event()
        self._wanted = []
        self._newest = self._newest_facts = None
        self.is_counted = False  # all of what is there was looked at since boot
        self.pulse = Pulse()
        self.changed = asyncio.Event()
        self.trouble = None  # or a pair of short lines: what is wrong, what to do
        for shelf in shelves:
            notes.skip(shelf.newest())
        notes.settle()
        for shelf in shelves:
            shelf.before, shelf.twins = notes.next, notes.twins

    def __len__(self):
        return sum(shelf.waiting for shelf in self._shelves)

    def __iter__(self):
        return iter(self._window)

    async def run(self):
        """Look through what is there, then for ever: know what comes next, keep handed-over photos within bounds."""
        await self.load()
        while True:
            self.pulse.within(_STEP_MS)
            await self.tend()
            try:
                await asyncio.wait_for_ms(self._work.wait(), _LOOK_EVERY_MS)
            except asyncio.TimeoutError:
                pass
            self._work.clear()

    async def load(self):
        """Count and mend what is there; what is found to wait can be handed over meanwhile."""
        self.pulse.within(_STEP_MS)
        for shelf in self._shelves:
            while await shelf.scan_next():
                self.pulse.within(_STEP_MS)
                await self._refill()
        await self._refill()
        self.is_counted = True

    async def tend(self):
        """Do what is to be done now: `run` calls it after each change."""
        for shelf in self._shelves:
            await shelf.look_again()
        await self._refill()
        while self._wanted:
            await self._bring(self._wanted.pop(0))
        for shelf in self._shelves:
            while shelf.sent > shelf.keep and await shelf.prune():
                self.pulse.within(_STEP_MS)
                await asyncio.sleep_ms(0)

    async def _refill(self):
        async with self._refilling:
            if await self._window.refill():
                self.changed.set()

    async def _bring(self, photo):
        try:
            if not await self.again(photo, known=True):
                log.warning("asked for a photo that is not here", photo=photo)
        except OSError as cause:
            log.error("photo can't be offered again", photo=photo, why=log.words(cause))

    @property
    def has_hope(self):
        """Whether a photo waits that was not refused when it was last offered."""
        known = list(self)
        return len(self) > len(known) or any(not entry.refusals for entry in known)

    def next_seq(self):
        """Return the number of the next photo."""
        return self._notes.next

    async def add(self, frame, facts, since_ticks):
        """Write a photo down, and return its `Entry`; `frame` and the others are as `photofiles.write_photo` has them.

        Raises:
            StorageFull: there is no room anywhere; nothing of it is left behind.
            OSError: no medium takes it.
        """
        failure = full = None
        for shelf in self._shelves:
            if shelf.failed and shelf is not self._shelves[-1]:
                continue
            try:
                entry = await self._add_to(shelf, frame, facts, since_ticks)
            except StorageFull as cause:
                if full is None:
                    full, self.trouble = cause, troubles.full(shelf.name)
                continue
            except OSError as cause:
                log.error("no photo can be written", why=log.words(cause), to=shelf.name)
                shelf.failed = True
                failure = cause
                continue
            if failure is not None:
                self._notes.add_twin(facts["sha256"])
            if full is None:
                self.trouble = None
            entry.fresh = True
            self._newest, self._newest_facts = entry, facts
            self._window.admit([entry])
            self._work.set()
            self.changed.set()
            return entry
        raise full or failure or OSError(_NO_MEDIUM)

    async def _add_to(self, shelf, frame, facts, since_ticks):
        seq = facts["seq"]
        while True:
            await shelf.make_room(len(frame))
            self._notes.take(seq)
            try:
                entry = Entry(seq, facts["photo"], shelf, shelf.place_for(seq))
                await photofiles.write_photo(entry.base, frame, facts, since_ticks)
            except OSError as cause:
                if cause.errno != files.ENOSPC:
                    raise
                if not await shelf.prune():
                    raise StorageFull("no room left: " + shelf.name)
                continue
            shelf.count(entry.place, 1, 0)
            return entry

    def facts(self, entry):
        """Return what is written down of a photo that waits; of the newest it is still known.

        Raises:
            MediumError: it can't be read, and neither can the picture.
        """
        return self._newest_facts if entry is self._newest else entry.place.facts(entry)

    def open(self, entry):
        """Return the picture as an open file.

        Raises:
            MediumError: it can't be read.
        """
        try:
            return open(entry.base + PICTURE, "rb")
        except OSError as cause:
            raise MediumError(log.words(cause))

    def find(self, photo):
        """Return the entry of a photo that waits and is known, or None."""
        return self._window.find(photo)

    def mark(self, entry, announced=False, delivered=False):
        """Note how far the server has a photo; once it is announced and delivered it waits no longer.

        Raises:
            OSError: it can't be marked; it waits on, and is known as handed over.
        """
        entry.announced = entry.announced or announced
        entry.delivered = entry.delivered or delivered
        if not (entry.announced and entry.delivered) or entry.marked:
            return
        sent = entry.place.hand_over(entry)
        entry.marked = True
        self.trouble = None
        self._window.dismiss(entry)
        entry.shelf.count(entry.place, -1, sent)
        for shelf in self._shelves:
            if shelf is not entry.shelf:
                shelf.mark_twin(entry)
        self._work.set()
        self.changed.set()

    def want(self, photo):
        """The server asks for a photo's bytes once more: it is looked for, and offered again."""
        entry = self.find(photo)
        if entry is not None:
            self._offer(entry, known=True)
        elif photo not in self._wanted:
            self._wanted.append(photo)
            self._work.set()

    async def again(self, photo, known=False):
        """Offer a photo's bytes once more, and announce it unless the server has it `known`.

        Returns False when the camera has it no longer.

        Raises:
            OSError: it can't be marked as waiting.
        """
        entry = self.find(photo)
        if entry is None:
            await self.load()
            entry = self.find(photo) or await self._bring_back(photo)
        if entry is None:
            return False
        self._offer(entry, known)
        return True

    def _offer(self, entry, known):
        entry.announced = known
        entry.delivered = False
        entry.again = True
        entry.not_before_ticks = None
        self.changed.set()

    async def _bring_back(self, photo):
        for shelf in self._shelves:
            for place in reversed(list(shelf.places)):
                found = await _find(place, lambda facts: facts["photo"] == photo)
                if found:
                    if found[1] == SENT:
                        photofiles.unmark(place.base(found[0]))
                        shelf.count(place, 1, -1)
                    self._window.admit([Entry(found[0], photo, shelf, place)])
                    return self.find(photo)
        return None

    async def again_all(self):
        """Offer all photos that are still here once more, and announce them. Returns how many they are."""
        await self.load()
        for entry in self._window:
            self._offer(entry, known=False)
        for shelf in self._shelves:
            for place in list(shelf.places):
                await _unmark_all(shelf, place)
        self._work.set()
        return len(self)

    async def find_command(self, command):
        """Return the id of the photo that a command took not long ago, or None; one that can't be read is none."""
        for shelf in self._shelves:
            for place in shelf.places[-2:]:
                found = await _find(place, lambda facts: facts.get("command") == command)
                if found:
                    return found[2]["photo"]
        return None


async def _find(place, test):
    try:
        return await place.find(test)
    except OSError as cause:
        log.error("folder unreadable", folder=place.path, why=log.words(cause))
        return None


async def _unmark_all(shelf, place):
    try:
        for seq in place.sent_numbers():
            photofiles.unmark(place.base(seq))
            shelf.count(place, 1, -1)
            place.cool(seq)
            await asyncio.sleep_ms(0)
    except OSError as cause:
        log.error("photos can't be offered again", folder=place.path, why=log.words(cause))
