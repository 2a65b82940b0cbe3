"""The one folder in which the version before kept all photos, as `<number>-<photo>.jpg`, with their facts in `.json`.

They are handed over from there, for a file that FAT moves is there twice after a power cut, and then go. What that
version had handed over itself (`.sent`) goes at once. Its names are long and were renamed: one that a power cut left
over may share its bytes with another, and is not touched.
"""

import asyncio
import os

from aa import files, log, photofiles
from aa.ids import is_photo_id
from aa.photofiles import PICTURE, MediumError
from aa.place import WAITS, Place

_FACTS = ".json"
_TMP = ".json.tmp"
_SENT = ".sent"
_FILES = {PICTURE: 1, _FACTS: 4, _SENT: 16}
_OTHER = 64
_PAUSE_EVERY = 16


class Flat(Place):
    """That folder, as a place; it takes no new photos."""

    def __init__(self, folder):
        super().__init__(folder, -1)

    @property
    def path(self):
        """The folder's path."""
        return self._root

    @property
    def first(self):
        """The lowest number that a photo in it can have."""
        return 0

    def base(self, seq, photo=None):
        """Return the path of a photo's files, without the ending."""
        return "{}/{:08d}-{}".format(self._root, seq, photo)

    def _names(self):
        for count, item in enumerate(files.listing(self._root), 1):
            name = item[0]
            if name[8:9] == "-" and name[35:36] == "." and name[:8].isdigit():
                yield int(name[:8]), name[9:35], name[35:]
            if count % _PAUSE_EVERY == 0:
                yield None  # let the others run

    def newest(self):
        """Return the highest number in it, or -1."""
        return max([name[0] for name in self._names() if name] + [-1])

    async def scan(self, *_):
        """Mend what a power cut left, and return how many photos wait here, and 0."""
        kinds = {}
        for name in self._names():
            if name is None:
                await asyncio.sleep_ms(0)
            else:
                kinds[_key(name)] = kinds.get(_key(name), 0) + _FILES.get(name[2], _OTHER)
        whole = _FILES[PICTURE] + _FILES[_FACTS]
        odd = {key for key in kinds if kinds[key] != whole}
        waiting = len(kinds) - len(odd)
        return waiting + (await self._mend_all(odd) if odd else 0), 0

    async def _mend_all(self, keys):
        endings = {}
        for name in self._names():
            if name is None:
                await asyncio.sleep_ms(0)
            elif _key(name) in keys and is_photo_id(name[1]):
                endings.setdefault(name[:2], set()).add(name[2])
        waiting = 0
        for (seq, photo), found in endings.items():
            try:
                waiting += self._mend_one(seq, photo, found)
            except (OSError, MediumError) as cause:
                log.error("photo left alone: its files can't be read", photo=photo, why=log.words(cause))
            await asyncio.sleep_ms(0)
        return waiting

    def _mend_one(self, seq, photo, endings):
        base = self.base(seq, photo)
        if PICTURE not in endings:
            if endings == {_FACTS}:
                photofiles.remove(base, (_FACTS,))
            return 0
        if _SENT in endings and _FACTS not in endings:
            photofiles.remove(base, (PICTURE, _SENT))
            return 0
        if _FACTS in endings:
            return 1
        if not photofiles.is_whole(base):
            log.warning("torn photo removed", photo=photo)
            photofiles.remove(base, (PICTURE,))
            return 0
        facts = photofiles.read_marker(base + _TMP) if _TMP in endings else None
        if facts is None or facts["photo"] != photo:
            facts = photofiles.measure(base, seq, photo)
        photofiles.write_facts(base + _FACTS, facts)
        return 1

    async def oldest(self, first, most, known):
        """Return a list of (number, id): the `most` oldest that wait, from `first` on, but for those ids `known`."""
        found = []
        for name in self._names():
            if name is None:
                await asyncio.sleep_ms(0)
            elif name[2] == _FACTS and name[0] >= first and name[1] not in known and is_photo_id(name[1]):
                found.append(name[:2])
                if len(found) >= 2 * most:
                    found.sort()
                    del found[most:]
        found.sort()
        return found[:most]

    async def find(self, test):
        """Return (number, kind, facts) of a photo that passes the test by its id, or None."""
        for name in self._names():
            if name is None:
                await asyncio.sleep_ms(0)
            elif name[2] == _FACTS and test({"photo": name[1]}):
                return name[0], WAITS, {"photo": name[1]}
        return None

    def sent_numbers(self):
        """Return (): none of them stays."""
        return ()

    def facts(self, entry):
        """Return what is written down of a photo."""
        return photofiles.read_facts(self.base(entry.seq, entry.photo), entry.seq, _FACTS, entry.photo)

    def hand_over(self, entry):
        """Delete a photo that was handed over. Returns 0: it does not stay."""
        base = self.base(entry.seq, entry.photo)
        os.remove(base + PICTURE)
        photofiles.remove(base, (_FACTS,))
        return 0


def _key(name):
    return name[0] * 1024 + hash(name[1]) % 1024  # two photos may have one number
