"""The files of one photo, and how they are mended when the power went while they were written.

The picture comes first, its facts (JSON) last: a photo whose facts are there is whole. An empty file says that it was
handed over. Their names are short (`07.jpg`, `07.txt`, `07.ok`): on a card, which has FAT, such a name comes or goes
with one write. A long one takes several, and so does a rename: between them a file is there twice, or not to be found.
"""

import asyncio
import json
import os
import time
from errno import ENOENT
from hashlib import sha256

from aa import files, jpeg, log
from aa.ids import is_photo_id, recovered_photo_id

CHUNK_BYTES = 4096
PICTURE = ".jpg"
FACTS = ".txt"
DONE = ".ok"


class MediumError(Exception):
    """A photo's files can't be read: the card is damaged or gone."""


async def write_photo(base, frame, facts, since_ticks):
    """Write a photo down. `facts` gets bytes, sha256, and in stage_ms how long this took since `since_ticks`.

    Raises:
        OSError: it can't be; nothing is left, unless the medium is gone.
    """
    try:
        facts["sha256"] = await _write_picture(base + PICTURE, frame)
        facts["bytes"] = len(frame)
        facts["stage_ms"]["queued"] = time.ticks_diff(time.ticks_ms(), since_ticks)
        write_facts(base + FACTS, facts)
    except BaseException:
        remove(base, (PICTURE, FACTS))
        raise


async def _write_picture(path, frame):
    digest = sha256()
    view = memoryview(frame)
    with open(path, "wb") as file:
        for at in range(0, len(view), CHUNK_BYTES):
            chunk = view[at : at + CHUNK_BYTES]
            file.write(chunk)
            digest.update(chunk)
            await asyncio.sleep_ms(0)  # the network goes on meanwhile
        file.flush()
    return hexdigest(digest)


def write_facts(path, facts):
    """Write facts down.

    Raises:
        OSError: they can't be.
    """
    _write(path, json.dumps(facts).encode())


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
    files.sync()


def mark(base):
    """Note that a photo was handed over.

    Raises:
        OSError: it can't be noted.
    """
    _write(base + DONE, b"")


def unmark(base):
    """Note that a photo is to be handed over once more.

    Raises:
        OSError: it can't be noted.
    """
    os.remove(base + DONE)
    files.sync()


def remove(base, endings):
    """Remove those of a photo's files that are there."""
    for ending in endings:
        files.remove(base + ending)


def read_facts(base, seq, ending=FACTS, photo=None):
    """Return the facts of a photo; what they do not tell is measured and written down, with `photo` as its id if given.

    Raises:
        MediumError: there are no facts, and no whole picture; or they can't be read.
    """
    try:
        facts = read_marker(base + ending)
        if facts is not None:
            return facts
        if not is_whole(base):
            raise MediumError("picture cut short")
        facts = measure(base, seq, photo)
        log.error("facts of a photo are gone", photo=facts["photo"], seq=seq)
    except OSError as cause:
        raise MediumError(log.words(cause))
    try:
        write_facts(base + ending, facts)
    except OSError as cause:
        log.warning("facts not written down", photo=facts["photo"], why=log.words(cause))
    return facts


def read_marker(path):
    """Return the facts in a file; None when it is missing, or has none.

    Raises:
        OSError: it can't be read, so that nobody knows.
    """
    try:
        with open(path) as file:
            facts = json.load(file)
    except ValueError:
        return None
    except OSError as cause:
        if cause.errno == ENOENT:
            return None
        raise
    return facts if isinstance(facts, dict) and is_photo_id(facts.get("photo")) and facts.get("bytes") else None


def measure(base, seq, photo=None):
    """Return the facts that the picture itself still tells; its id as well, unless it is `photo`.

    Raises:
        OSError: it can't be read.
    """
    digest = sha256()
    size = 0
    with open(base + PICTURE, "rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            if not chunk:
                break
            size += len(chunk)
            digest.update(chunk)
    told = hexdigest(digest)
    photo = photo or recovered_photo_id(seq, told)
    return {"photo": photo, "seq": seq, "trigger": "unknown", "bytes": size, "sha256": told}


async def check(base, facts):
    """Read a picture once more, and see that it is the one that was written.

    Raises:
        MediumError: it is not, or it can't be read.
    """
    digest = sha256()
    try:
        with open(base + PICTURE, "rb") as file:
            while True:
                chunk = file.read(CHUNK_BYTES)
                if not chunk:
                    break
                digest.update(chunk)
                await asyncio.sleep_ms(0)  # a press does not wait for it
    except OSError as cause:
        raise MediumError(log.words(cause))
    if hexdigest(digest) != facts["sha256"]:
        raise MediumError("picture damaged on its medium")


def is_whole(base):
    """Whether the picture begins and ends as one does.

    Raises:
        OSError: it can't be read.
    """
    size = os.stat(base + PICTURE)[6]
    with open(base + PICTURE, "rb") as file:
        return jpeg.is_whole_file(file, size)


def hexdigest(digest):
    """Return a digest as MicroPython's hashlib has none: in hexadecimal."""
    return "".join("{:02x}".format(octet) for octet in digest.digest())
