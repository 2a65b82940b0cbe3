"""The files of one photo, `.jpg` and its marker, and how they are mended when the power went while they were written.

A card has FAT, which does in two steps what looks like one: it replaces a file by removing the old one first, and a
file that it renames may be there under both names, which then share their bytes. So a marker may be missing, or there
twice; a picture is deleted only when it is itself cut short.
"""

import json
import os
from errno import ENOENT
from hashlib import sha256

from aa import files, jpeg, log

CHUNK_BYTES = 4096
PICTURE = ".jpg"
WAITING = ".json"
SENT = ".sent"
_MARKERS = (WAITING, SENT, WAITING + ".tmp", SENT + ".tmp")


def read_marker(path, photo):
    """Return the facts in a marker; None when it is missing, or not one of this photo.

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
    return facts if isinstance(facts, dict) and facts.get("photo") == photo and facts.get("bytes") else None


def measure(base, seq, photo):
    """Return the facts that the picture `base`.jpg itself still tells.

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
    return {"photo": photo, "seq": seq, "trigger": "unknown", "bytes": size, "sha256": hexdigest(digest)}


def hexdigest(digest):
    """Return a digest as MicroPython's hashlib has none: in hexadecimal."""
    return "".join("{:02x}".format(octet) for octet in digest.digest())


def settle(base, seq, photo, endings):
    """Mend the files `base` + each of `endings`. Returns WAITING or SENT, its marker from now on; None: it is gone.

    Raises:
        OSError: they can't be read; nothing was deleted.
    """
    markers = [ending for ending in _MARKERS if ending in endings]
    if PICTURE in endings and markers in ([WAITING], [SENT]):
        return markers[0]
    facts = _facts_of_whole(base, seq, photo, markers) if PICTURE in endings else None
    if facts is None:
        log.warning("torn photo removed", photo=photo)
        _remove(base, endings)
        return None
    log.warning("photo mended", photo=photo, found=" ".join(markers))
    kind = markers[0].replace(".tmp", "") if markers else WAITING
    if markers == [kind + ".tmp"] and read_marker(base + markers[0], photo) == facts:
        os.rename(base + markers[0], base + kind)
        return kind
    _remove(base, markers)  # all of them, before anything is written: they may share their bytes
    try:
        files.write_json(base + kind, facts)
    except OSError as cause:
        log.error("marker not written", photo=photo, why=log.words(cause))  # it is measured each time
    return kind


def _facts_of_whole(base, seq, photo, markers):
    """Return the facts of a picture that is whole, by one of its markers or by its own end; else None."""
    size = os.stat(base + PICTURE)[6]
    for ending in markers:
        facts = read_marker(base + ending, photo)
        if facts is not None and facts["bytes"] == size:
            return facts
    with open(base + PICTURE, "rb") as file:
        if not jpeg.is_whole_file(file, size):
            return None
    return measure(base, seq, photo)


def _remove(base, endings):
    for ending in endings:
        files.remove(base + ending)
