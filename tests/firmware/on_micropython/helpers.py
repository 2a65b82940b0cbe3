"""What several cases need."""

import asyncio
import json
import os
import time
from hashlib import sha256

from aa import files, photofiles
from aa.ids import new_photo_id
from aa.notes import Notes
from aa.queue import Queue
from aa.shelf import Shelf

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x04\xb0\x06\x40\x01\x01\x11\x00" + bytes(range(1, 120)) * 3 + b"\xff\xd9"
)
# ITU T.81 K.3.3.1, the usual table for the first number of a block: how many codes of each length, and what they mean
_DC_CODES = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)) + bytes(range(12))
PHOTOS = ["abcdefghijklmnopqrstuvwxy" + last for last in "234567abcdefghijklmnop"]


def flat_jpeg(level, extra=0, side=160, step=8):
    """Return a grey JPEG of one brightness, 0 to 255; `extra` behind its scan tells it from another."""
    value = level - 128  # times 8, over the step, which is 8
    bits = "{:b}".format(abs(value)) if value else ""
    size = len(bits)
    if value < 0:
        bits = "".join("10"[int(bit)] for bit in bits)
    codes = ("00", "010", "011", "100", "101", "110", "1110", "11110", "111110")
    bits = codes[size] + bits + "1010" + "001010" * ((side // 8) ** 2 - 1)
    bits += "1" * (-len(bits) % 8)
    scan = b"".join(bytes((int(bits[at : at + 8], 2),)) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")
    sides = bytes((side >> 8, side & 255))
    return (
        b"\xff\xd8\xff\xdb\x00\x43\x00"
        + bytes((step,)) * 64
        + b"\xff\xc0\x00\x0b\x08"
        + sides
        + sides
        + b"\x01\x01\x11\x00\xff\xc4\x00\x1f\x00"
        + _DC_CODES
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
        + scan
        + bytes((extra,))
        + b"\xff\xd9"
    )


class Rtc:
    """A clock that stands where it is put; its memory outlives a `Clock`, as through deep sleep."""

    def __init__(self):
        self.second, self.micros = 0, 0
        self.kept = b""

    def datetime(self):
        return (2000, 1, 1, 5, self.second // 3600, self.second // 60 % 60, self.second % 60, self.micros)

    def memory(self, data=None):
        if data is not None:
            self.kept = data
        return self.kept


class Face:
    """Notes in `told` what it is told, in order."""

    def __init__(self):
        self.told = []

    def changed(self):
        pass

    def pressed(self):
        self.told.append("pressed")

    def taken(self, entry):
        self.told.append("taken {}".format(entry.seq))

    def failed(self, cause):
        self.told.append("failed " + type(cause).__name__)

    def delivered(self, entry):
        self.told.append("delivered {}".format(entry.seq))

    async def identify(self):
        self.told.append("identify")

    async def good_night(self, reason, wake_ms):
        self.told.append("good night")

    def stay_up(self):
        self.told.append("stay up")


def raises(error, call, *args):
    """Return the exception that the call raises."""
    try:
        call(*args)
    except error as cause:
        return cause
    raise AssertionError("it raised nothing")


async def araises(error, call):
    """Return the exception that the coroutine raises."""
    try:
        await call
    except error as cause:
        return cause
    raise AssertionError("it raised nothing")


async def until(condition, timeout_ms=5000):
    """Wait until `condition()` holds."""
    while not condition():
        assert timeout_ms > 0, "it never came true"
        await asyncio.sleep_ms(5)
        timeout_ms -= 5


def facts_of(seq, photo, **more):
    """Return facts as the camera has them before a photo is written."""
    facts = {
        "photo": photo,
        "seq": seq,
        "trigger": "button",
        "width": 1600,
        "height": 1200,
        "stage_ms": {"captured": 1},
    }
    facts.update(more)
    return facts


def open_queue(folder="q", **policy):
    """Return the queue on one medium, as a boot opens it."""
    return Queue([Shelf("Card", folder, **policy)], Notes("notes.json"))


async def load_queue(folder="q", **policy):
    """Return the queue on one medium, once all of it was looked at."""
    queue = open_queue(folder, **policy)
    await queue.load()
    return queue


async def add_photo(queue, index, **more):
    """Write down photo number `index` of `PHOTOS`."""
    return await queue.add(memoryview(JPEG), facts_of(queue.next_seq(), PHOTOS[index], **more), time.ticks_ms())


async def hand_over(queue, entry):
    """Mark a photo as announced and delivered, and let the queue see to its bounds."""
    queue.mark(entry, announced=True, delivered=True)
    await queue.tend()


def files_in(folder="q"):
    """Return the names of all files below a folder, sorted, with the folders that they are in."""
    found = []
    for item in files.listing(folder):
        if item[1] == 0x4000:
            found += [item[0] + "/" + name for name in files_in(folder + "/" + item[0])]
        else:
            found.append(item[0])
    return sorted(found)


def photos_in(folder="q", done=None):
    """Return the ids of all photos with facts below a folder, oldest first; only those `done` (handed over) or not."""
    names = files_in(folder)
    photos = []
    for name in names:
        if name.endswith(".txt") and done in (None, name[:-4] + ".ok" in names):
            with open(folder + "/" + name) as file:
                photos.append(json.load(file)["photo"])
    return photos


class Os:
    """The module `os`, but for what is given: to be put into a module that imports it."""

    def __init__(self, **own):
        self._own = own

    def __getattr__(self, name):
        return self._own[name] if name in self._own else getattr(os, name)


def write_bytes(path, data=b"x"):
    """Write a file."""
    with open(path, "wb") as file:
        file.write(data)


def break_writes(folder):
    """Let no photo be written below a folder, until the function that this returns is called."""
    picture, whole = photofiles._write_picture, files.write_whole

    async def no_picture(path, frame):
        if path.startswith(folder):
            raise OSError(5)
        return await picture(path, frame)

    def nothing(path, data):
        if path.startswith(folder):
            raise OSError(5)
        whole(path, data)

    def mend():
        photofiles._write_picture, files.write_whole = picture, whole

    photofiles._write_picture, files.write_whole = no_picture, nothing
    return mend


def hexdigest(data):
    return "".join("{:02x}".format(octet) for octet in sha256(data).digest())


async def serve(handler):
    """Serve TCP on a free port of the loopback. Returns (server, port)."""
    import random

    while True:
        port = random.randint(20_000, 60_000)
        try:
            return await asyncio.start_server(handler, "127.0.0.1", port), port
        except OSError:
            continue


async def add_many(queue, count):
    """Add photos and return their ids."""
    photos = []
    for _ in range(count):
        photos.append(new_photo_id())
        await queue.add(memoryview(JPEG), facts_of(queue.next_seq(), photos[-1]), time.ticks_ms())
        await queue.tend()
    return photos


async def drain(queue, hand=None):
    """Hand over all that wait, the oldest first; return their ids in this order."""
    photos = []
    while True:
        await queue.tend()
        entries = [entry for entry in queue if not entry.refusals]
        if not entries:
            return photos
        photos.append(entries[0].photo)
        (hand or queue.mark)(entries[0], True, True)
