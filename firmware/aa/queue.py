"""The photos that are not yet handed over, in files, so that a power cut loses none and shows none torn.

A photo is `<seq>-<photo>.jpg` and a marker beside it with its facts, written last by a rename: `.json` while it waits,
renamed to `.sent` once the server has announced it and has its bytes. A picture that was cut short goes at boot
(`photofiles`). A few `.sent` stay, for the server may ask for a photo again. No progress is written down: after a boot
everything that waits is announced and offered again, which the server takes as the same photo.
"""

import asyncio
import os
import time
from hashlib import sha256

from aa import files, log, photofiles
from aa.ids import is_photo_id
from aa.photofiles import CHUNK_BYTES, PICTURE, SENT, WAITING

_RESERVE_KB = 64  # room for markers and the file system's own needs


class StorageFull(Exception):
    """There is no room for another photo: it was not taken."""


class MediumError(Exception):
    """A photo's files can't be read: the card is damaged or gone."""


class Entry:
    """One photo: what is known of it in RAM. `facts()` of the queue reads the rest."""

    def __init__(self, seq, photo):
        self.seq = seq
        self.photo = photo
        self.announced = False  # the server has seen its manifest
        self.delivered = False  # the server has its bytes
        self.fresh = False  # taken since boot and never offered: its bytes can't be there yet
        self.again = False  # the server asked for the bytes once more
        self.taken_ticks = None
        self.said_ticks = None
        self.said_times = 0
        self.refusals = 0
        self.not_before_ticks = None
        self.camera_ms = self.radio_ticks = None  # what it cost, see `battery.ShotCost`
        self.send_ms = 0

    @property
    def name(self):
        """The name that its files have, without the ending."""
        return "{:08d}-{}".format(self.seq, self.photo)


def _parse(file):
    stem, _, ending = file.partition(".")
    seq, _, photo = stem.partition("-")
    if len(seq) == 8 and seq.isdigit() and is_photo_id(photo):
        return int(seq), photo, "." + ending
    return None


class Queue:
    """Keeps photos below `folder`; `keep` handed-over ones stay as long as there is room."""

    def __init__(self, folder, keep=8, most=2000):
        self._folder = folder
        self._keep = keep
        self._most = most
        self._waiting = []  # oldest first
        self._sent = []
        self.changed = asyncio.Event()
        self._load()

    def __len__(self):
        return len(self._waiting)

    def __iter__(self):
        return iter(list(self._waiting))

    def path(self, entry, ending=PICTURE):
        """Return the path of one of a photo's files."""
        return self._folder + "/" + entry.name + ending

    def _load(self):
        files.make_folder(self._folder)
        found = {}
        for item in os.ilistdir(self._folder):
            parsed = _parse(item[0])
            if parsed:
                found.setdefault(parsed[:2], set()).add(parsed[2])
        for key in sorted(found):
            self._adopt(Entry(*key), found[key])
        self._prune(self._keep)

    def _adopt(self, entry, endings):
        try:
            kind = photofiles.settle(self.path(entry, ""), entry.seq, entry.photo, endings)
        except OSError as cause:
            log.error("photo left alone: its files can't be read", photo=entry.photo, why=log.words(cause))
            return
        if kind == WAITING:
            self._waiting.append(entry)
        elif kind == SENT:
            entry.announced = entry.delivered = True
            self._sent.append(entry)

    def next_seq(self):
        """Return the number of the next photo; the newest one that was handed over is kept to know it."""
        return max([entry.seq for entry in self._waiting + self._sent] + [0]) + 1

    async def add(self, frame, facts, since_ticks):
        """Write a photo down, and return its `Entry`.

        `frame` is the camera's buffer; `facts` gets bytes, sha256, and in stage_ms how long this took since
        `since_ticks`.

        Raises:
            StorageFull: nothing of it is left behind.
            OSError: the medium is broken; neither is there.
        """
        self._make_room(len(frame))
        entry = Entry(facts["seq"], facts["photo"])
        try:
            facts["sha256"] = await self._write(entry, frame)
            facts["bytes"] = len(frame)
            facts["stage_ms"]["queued"] = time.ticks_diff(time.ticks_ms(), since_ticks)
            files.write_json(self.path(entry, WAITING), facts)
        except BaseException as cause:
            self._forget(entry)
            if isinstance(cause, OSError) and cause.errno == files.ENOSPC:
                raise StorageFull("no room left on the card")
            raise
        entry.fresh = True
        self._waiting.append(entry)
        self.changed.set()
        return entry

    async def _write(self, entry, frame):
        digest = sha256()
        view = memoryview(frame)
        with open(self.path(entry), "wb") as file:
            for at in range(0, len(view), CHUNK_BYTES):
                chunk = view[at : at + CHUNK_BYTES]
                file.write(chunk)
                digest.update(chunk)
                await asyncio.sleep_ms(0)  # the network goes on meanwhile
            file.flush()
        return photofiles.hexdigest(digest)

    def _make_room(self, size):
        need_kb = size // 1024 + _RESERVE_KB
        for keep in (self._keep, 1):
            free = files.free_kb(self._folder)
            if free is None or free >= need_kb:
                break
            self._prune(keep)
        free = files.free_kb(self._folder)
        if len(self._waiting) >= self._most or (free is not None and free < need_kb):
            raise StorageFull("{} photos wait, {} KiB free".format(len(self._waiting), free))

    def drop(self, entry):
        """Delete a photo that waits: it is elsewhere now."""
        self._waiting.remove(entry)
        self._forget(entry)

    def _forget(self, entry):
        for ending in (PICTURE, WAITING, WAITING + ".tmp", SENT):  # a marker alone is nothing, a picture alone is kept
            files.remove(self.path(entry, ending))

    def _prune(self, keep):
        while len(self._sent) > keep:
            self._forget(self._sent.pop(0))

    def facts(self, entry):
        """Return what the photo's marker says; if it can't be read, what the picture itself still tells.

        Raises:
            MediumError: not even that.
        """
        path = self.path(entry, SENT if entry in self._sent else WAITING)
        try:
            facts = photofiles.read_marker(path, entry.photo)
            if facts is not None:
                return facts
            log.error("marker unreadable", photo=entry.photo)
            facts = photofiles.measure(self.path(entry, ""), entry.seq, entry.photo)
        except OSError as cause:
            raise MediumError(log.words(cause))
        try:
            files.write_json(path, facts)
        except OSError as cause:
            log.warning("marker not written", photo=entry.photo, why=log.words(cause))
        return facts

    def open(self, entry):
        """Return the picture as an open file.

        Raises:
            MediumError: it can't be read.
        """
        try:
            return open(self.path(entry), "rb")
        except OSError as cause:
            raise MediumError(log.words(cause))

    def find(self, photo):
        """Return the entry of a photo, waiting or handed over, or None."""
        for entry in self._waiting + self._sent:
            if entry.photo == photo:
                return entry
        return None

    async def find_command(self, command):
        """Return the entry of the photo that a command took, or None; a photo that can't be read is none."""
        for entry in reversed(self._sent + self._waiting):
            try:
                if self.facts(entry).get("command") == command:
                    return entry
            except MediumError as cause:
                log.warning("photo can't be read", photo=entry.photo, why=log.words(cause))
            await asyncio.sleep_ms(0)  # to read a marker takes long in a large folder
        return None

    def mark(self, entry, announced=False, delivered=False):
        """Note how far the server has a photo; once it is announced and delivered it waits no longer."""
        entry.announced = entry.announced or announced
        entry.delivered = entry.delivered or delivered
        if not (entry.announced and entry.delivered) or entry not in self._waiting:
            return
        os.rename(self.path(entry, WAITING), self.path(entry, SENT))
        files.sync()
        self._waiting.remove(entry)
        self._sent.append(entry)
        self._prune(self._keep)
        self.changed.set()

    def again(self, photo):
        """Offer a photo's bytes once more. Returns False when the camera has it no longer."""
        entry = self.find(photo)
        if entry is None:
            return False
        if entry in self._sent:
            os.rename(self.path(entry, SENT), self.path(entry, WAITING))
            files.sync()
            self._sent.remove(entry)
            self._waiting.append(entry)
            self._waiting.sort(key=lambda one: one.seq)
        entry.delivered = False
        entry.again = True
        entry.not_before_ticks = None
        self.changed.set()
        return True

    def photos(self):
        """Return the ids of all photos that are still here, oldest first."""
        return [entry.photo for entry in sorted(self._waiting + self._sent, key=lambda one: one.seq)]
