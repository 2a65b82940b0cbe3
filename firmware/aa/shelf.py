"""The photos on one medium, the card or flash: in which folders they are, and whether there is room for one more.

Handed-over photos stay, for the server may ask for one again, up to a number of them and for as long as there is room.
The oldest of them goes first; a photo that was not handed over is never deleted to make room.
"""

import asyncio
import os

from aa import files, log
from aa.flat import Flat
from aa.place import EACH, Place

_DIGITS = 6
_LOOKS = 5  # at a folder that can't be read, until the next boot
_MARKERS_KB = 64  # room for markers and the file system's own needs


class StorageFull(Exception):
    """There is no room for another photo: it was not taken."""


class Shelf:
    """Photos below `folder`, and those that the version before left in the folder `flat`.

    `most` photos wait here at most, `keep` handed-over ones stay, and `free_percent` of the medium (at most
    `free_most_kb`) is left to others.

    Raises:
        OSError: the medium can't be used.
    """

    def __init__(self, name, folder, flat=None, most=5_000, keep=512, free_percent=0, free_most_kb=1024):
        self.name = name
        self.folder = folder
        self.keep = keep
        self.failed = False  # it took no photo
        self.waiting = self.sent = 0
        self._most = most
        self._spare_kb = _MARKERS_KB + min(free_most_kb, (files.size_kb(folder or "/") or 0) * free_percent // 100)
        self._scanning = asyncio.Lock()
        self.before = 0  # numbers from here on are of this boot
        self.twins = []  # SHA-256 of pictures that are elsewhere
        self.places = self._find_places(flat)

    def _find_places(self, flat):
        files.make_folder(self.folder)
        names = sorted(item[0] for item in files.listing(self.folder) if len(item[0]) == _DIGITS and item[0].isdigit())
        places = [Place(self.folder, int(name)) for name in names]
        if flat and files.exists(flat):
            places.insert(0, Flat(flat))
        return places

    def newest(self):
        """Return the highest number that a photo here may have, or 0; only the newest folder is read for it."""
        if not self.places:
            return 0
        place = self.places[-1]
        try:
            seq = place.newest()
        except OSError as cause:
            log.error("folder unreadable", folder=place.path, why=log.words(cause))
            seq = -1
        return seq if seq >= 0 else (place.number + 1) * EACH - 1

    def _place_of(self, seq):
        for place in reversed(self.places):
            if place.number == seq // EACH:
                return place
        return None

    def mark_twin(self, entry):
        """Mark a photo that was handed over from another medium, if it is on this one as well, which failed with it."""
        place = self._place_of(entry.seq)
        if place is None:
            return
        try:
            if place.is_waiting(entry):
                sent = place.hand_over(entry)
                if place.scanned and entry.seq < self.before:  # else it was not counted
                    self.count(place, -1, sent)
        except OSError as cause:
            log.warning("twin can't be marked", photo=entry.photo, why=log.words(cause))

    def place_for(self, seq):
        """Return the place for a new photo, after making its folder when it is the first one there.

        Raises:
            OSError: it can't be made.
        """
        place = self._place_of(seq)
        if place is not None:
            return place
        place = Place(self.folder, seq // EACH)
        files.make_folder(place.path)
        place.scanned = True
        self.places.append(place)
        self.places.sort(key=lambda one: one.number)
        return place

    def count(self, place, waiting, sent):
        """Note how many photos more (or fewer) wait in a place and were handed over; an empty folder goes."""
        place.waiting += waiting
        place.sent += sent
        self.waiting += waiting
        self.sent += sent
        if place.scanned and not place.waiting and not place.sent and place is not self.places[-1]:
            self.places.remove(place)
            try:
                os.rmdir(place.path)
            except OSError as cause:  # someone else's file, or what a power cut left of a name
                log.warning("folder stays", folder=place.path, why=log.words(cause))

    async def scan_next(self):
        """Count and mend the next folder that was not looked at since boot. Returns False when there is none."""
        async with self._scanning:
            for place in self.places:
                if not place.scanned and not place.misses:
                    await self._scan(place)
                    return True
        return False

    async def look_again(self):
        """Try the folders that could not be read once more, each a few times: a card may fail for a moment."""
        async with self._scanning:
            for place in list(self.places):
                if 0 < place.misses < _LOOKS:
                    await self._scan(place)

    async def _scan(self, place):
        try:
            waiting, sent = await place.scan(self.before, self.twins)
        except (OSError, MemoryError) as cause:
            place.misses += 1
            log.error("folder unreadable", folder=place.path, why=log.words(cause), times=place.misses)
            return
        place.scanned, place.misses = True, 0
        if waiting:
            place.cool(place.first)
        self.count(place, waiting, sent)

    async def make_room(self, size):
        """Delete handed-over photos, the oldest first, until there is room for one of `size` bytes.

        Raises:
            StorageFull: there is none, and all that are left are still to be handed over.
        """
        need_kb = size // 1024 + self._spare_kb
        while True:
            free_kb = files.free_kb(self.folder)
            if self.waiting < self._most and (free_kb is None or free_kb >= need_kb):
                return
            if self.waiting >= self._most or not await self.prune():
                raise StorageFull("{} full: {} photos wait, {} KiB free".format(self.name, self.waiting, free_kb))

    async def prune(self):
        """Delete the oldest photo that was handed over. Returns False when there is none."""
        while True:
            full = [place for place in self.places if place.sent]
            if full:
                if self._forget_oldest(full[0]):
                    return True
                self.count(full[0], 0, -full[0].sent)  # whatever became of them: they can't be deleted
            elif not await self.scan_next():
                return False

    def _forget_oldest(self, place):
        try:
            if place.forget_oldest():
                self.count(place, 0, -1)
                return True
        except OSError as cause:
            log.error("photo can't be deleted", folder=place.path, why=log.words(cause))
        return False
