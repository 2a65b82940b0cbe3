"""Which of the photos that wait are known in RAM: the oldest, and those just taken. A card may hold thousands.

More are read from the medium as these go. A photo that was refused time and again makes way for others, and is read
again after a while: one that can't be handed over must hold up no other.
"""

import time

from aa import log

_AT_ONCE = 32
_ENOUGH = 16
_MOST = 96
_ROUND_MS = 600_000


class Entry:
    """One photo that waits: what is known of it in RAM. `facts()` of the queue reads the rest."""

    announced = False  # the server has seen its manifest
    delivered = False  # the server has its bytes
    marked = False  # it waits no longer
    fresh = False  # taken since boot and never offered: its bytes can't be there yet
    again = False  # the server asked for the bytes once more
    taken_ticks = None
    said_ticks = None
    said_times = 0
    refusals = breaks = 0  # how often the server, or the network on the way to it, did not take it
    had = 0  # how many bytes of it the server had when it was last offered
    not_before_ticks = None
    camera_ms = radio_ticks = None  # what it cost, see `battery.ShotCost`
    send_ms = 0

    def __init__(self, seq, photo, shelf, place):
        self.seq = seq
        self.photo = photo
        self.shelf = shelf
        self.place = place

    @property
    def base(self):
        """The path of its files, without the ending."""
        return self.place.base(self.seq, self.photo)

    @property
    def is_stuck(self):
        """Whether it was refused, or is handed over and can't be marked so."""
        return bool(self.refusals or self.breaks or (self.announced and self.delivered))


class Window:
    """The entries that are known, of the photos on `shelves`; iterate over it for the oldest first."""

    def __init__(self, shelves):
        self._shelves = shelves
        self._entries = []
        self._by_photo = {}
        self._round_ticks = time.ticks_ms()

    def __iter__(self):
        return iter(list(self._entries))

    def find(self, photo):
        """Return the entry of a photo, or None."""
        return self._by_photo.get(photo)

    def admit(self, entries):
        """Know these, unless they are known."""
        for entry in entries:
            self._by_photo.setdefault(entry.photo, entry)
        self._entries = sorted(self._by_photo.values(), key=lambda one: one.seq)

    def dismiss(self, entry):
        """Know this one no longer."""
        known = self._by_photo.pop(entry.photo, None)
        if known is not None:
            self._entries.remove(known)

    async def refill(self):
        """Read more of what waits, oldest first, unless enough is known. Returns whether there is something new."""
        news = False
        self._make_way()
        while True:
            shelf, place = self._next_place()
            if place is None or self._count_before(place.cold) >= _ENOUGH:
                return news
            first = place.cold
            try:
                news = await self._read(shelf, place) or news
            except MemoryError:
                place.cool(first)
                raise
            self._make_way()

    def _next_place(self):
        found = None, None
        for shelf in self._shelves:
            for place in shelf.places:
                if place.cold is not None and (found[1] is None or place.cold < found[1].cold):
                    found = shelf, place
        if found[1] is None:
            self._begin_round()
        return found

    def _begin_round(self):
        """What was refused is tried once more, but not all the time."""
        now = time.ticks_ms()
        if 0 <= time.ticks_diff(now, self._round_ticks) < _ROUND_MS:
            return
        self._round_ticks = now
        for shelf in self._shelves:
            for place in shelf.places:
                if place.later:
                    place.later = False
                    place.cold = place.first

    def _count_before(self, seq):
        return sum(1 for entry in self._entries if entry.seq < seq and not entry.is_stuck)

    async def _read(self, shelf, place):
        first, place.cold = place.cold, None
        known = set()
        for entry in self._entries:
            if entry.place is place:
                known.update((entry.seq, entry.photo))
        try:
            found = await place.oldest(first, _AT_ONCE + 1, known)
        except OSError as cause:
            log.error("folder unreadable", folder=place.path, why=log.words(cause))
            place.later = True
            return False
        if len(found) > _AT_ONCE:
            place.cool(found.pop()[0])
        self.admit([Entry(seq, photo, shelf, place) for seq, photo in found])
        return bool(found)

    def _make_way(self):
        """Keep within bounds; what is forgotten here is still on the medium."""
        while len(self._entries) > _MOST:
            stuck = [entry for entry in self._entries if entry.is_stuck]
            entry = stuck[0] if stuck else self._entries[_AT_ONCE]
            if stuck:
                entry.place.later = True
            else:
                entry.place.cool(entry.seq)
            self.dismiss(entry)
