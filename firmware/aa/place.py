"""One folder of photos. It holds few: FAT finds a file by reading its folder from the start, some ten times a photo.

A photo's number says where it lies: in folder `<number // 32>`, as `<number % 32>`. So many fit into 4 KiB, the
smallest piece of a folder on a card of today: a folder that grows in a power cut may grow by whatever was there before.
"""

import asyncio
import os

from aa import files, log, photofiles
from aa.photofiles import DONE, FACTS, PICTURE, MediumError

EACH = 32
WAITS, SENT = 3, 7  # which files a photo has, added up:
_FILES = {PICTURE: 1, FACTS: 2, DONE: 4}


class Place:
    """Folder `number` below `root`.

    `waiting` and `sent` count its photos once it was `scanned`. From number `cold` on some that wait may not be known
    in RAM (None: all are); `later` says that such were tried and are to be tried again. `misses` counts failed scans.
    """

    scanned = later = False
    cold = None
    waiting = sent = misses = 0

    def __init__(self, root, number):
        self._root = root
        self.number = number

    @property
    def path(self):
        """The folder's path."""
        return "{}/{:06d}".format(self._root, self.number)

    @property
    def first(self):
        """The lowest number that a photo in it can have."""
        return self.number * EACH

    def cool(self, seq):
        """Some that wait, from number `seq` on, are not known in RAM."""
        self.cold = seq if self.cold is None else min(self.cold, seq)

    def base(self, seq, _=None):
        """Return the path of a photo's files, without the ending."""
        return "{}/{:06d}/{:02d}".format(self._root, self.number, seq % EACH)

    def look(self):
        """Return {number: which files it has, added up}; facts that are empty are not there.

        Raises:
            OSError: the folder can't be read.
        """
        found = {}
        for item in files.listing(self.path):
            name = item[0]
            which = _FILES.get(name[2:])
            if which and name[:2].isdigit() and int(name[:2]) < EACH:
                seq = self.first + int(name[:2])
                empty = which == _FILES[FACTS] and len(item) > 3 and not item[3]
                found[seq] = found.get(seq, 0) | (0 if empty else which)
        return found

    def newest(self):
        """Return the highest number in it, or -1.

        Raises:
            OSError: the folder can't be read.
        """
        return max(list(self.look()) + [-1])

    async def scan(self, before, twins):
        """Mend what a power cut left, and return how many photos wait here and how many were handed over.

        Photos from number `before` on are left out: one of them may be being written just now. `twins` has the SHA-256
        of pictures that were written elsewhere, because this medium failed.

        Raises:
            OSError: the folder can't be read.
        """
        counts = {WAITS: 0, SENT: 0, None: 0}
        for seq, kind in sorted(self.look().items()):
            if seq >= before:
                continue
            if kind in counts:
                counts[kind] += 1
            else:
                counts[self._mend(seq, kind, twins)] += 1
                await asyncio.sleep_ms(0)
        return counts[WAITS], counts[SENT]

    def _mend(self, seq, kind, twins):
        base = self.base(seq)
        try:
            if kind == _FILES[PICTURE] and photofiles.is_whole(base):
                facts = photofiles.measure(base, seq)  # it was never announced
                if facts["sha256"] not in twins:
                    log.warning("photo without facts kept", photo=facts["photo"], seq=seq)
                    photofiles.write_facts(base + FACTS, facts)
                    return WAITS
        except OSError as cause:
            log.error("photo left alone: its files can't be read", seq=seq, why=log.words(cause))
            return None
        log.warning("what is left of a photo removed", seq=seq)
        photofiles.remove(base, (PICTURE, FACTS, DONE))
        return None

    async def oldest(self, first, most, known):
        """Return a list of (number, id): the `most` oldest that wait, from `first` on, but for those numbers `known`.

        Raises:
            OSError: the folder can't be read.
        """
        waits = sorted(seq for seq, kind in self.look().items() if kind == WAITS and seq >= first and seq not in known)
        found = []
        for seq in waits[:most]:
            try:
                found.append((seq, photofiles.read_facts(self.base(seq), seq)["photo"]))
            except MediumError as cause:
                log.error("photo can't be read", seq=seq, why=log.words(cause))
                self.later = True
            await asyncio.sleep_ms(0)
        return found

    async def find(self, test):
        """Return (number, kind, facts) of a photo whose facts pass the test, or None.

        Raises:
            OSError: the folder can't be read.
        """
        for seq, kind in self.look().items():
            if kind in (WAITS, SENT):
                try:
                    facts = photofiles.read_marker(self.base(seq) + FACTS)
                except OSError as cause:
                    log.warning("photo can't be read", seq=seq, why=log.words(cause))
                    facts = None
                if facts and test(facts):
                    return seq, kind, facts
            await asyncio.sleep_ms(0)
        return None

    def facts(self, entry):
        """Return what is written down of a photo.

        Raises:
            MediumError: it can't be read, and neither can the picture.
        """
        return photofiles.read_facts(self.base(entry.seq), entry.seq, photo=entry.photo)

    def is_waiting(self, entry):
        """Whether that photo waits here.

        Raises:
            OSError: nobody knows.
        """
        if self.look().get(entry.seq) != WAITS:
            return False
        facts = photofiles.read_marker(self.base(entry.seq) + FACTS)
        return facts is not None and facts["photo"] == entry.photo

    def hand_over(self, entry):
        """Mark a photo as handed over. Returns how many such photos there are more for it.

        Raises:
            OSError: it can't be marked.
        """
        photofiles.mark(self.base(entry.seq))
        return 1

    def sent_numbers(self):
        """Return the numbers of the photos that were handed over, lowest first.

        Raises:
            OSError: the folder can't be read.
        """
        return sorted(seq for seq, kind in self.look().items() if kind == SENT)

    def forget_oldest(self):
        """Delete the oldest photo that was handed over. Returns False when there is none.

        Raises:
            OSError: the folder can't be read, or the photo not be deleted.
        """
        sent = self.sent_numbers()
        if not sent:
            return False
        base = self.base(sent[0])
        os.remove(base + PICTURE)  # first: what is left of a photo without its picture goes at boot
        photofiles.remove(base, (FACTS, DONE))
        return True
