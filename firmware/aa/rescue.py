"""Photos that went to flash because the card was missing move to the card once it is back: nothing is left behind."""

import os

from aa import files, log
from aa.photofiles import CHUNK_BYTES, PICTURE, WAITING
from aa.queue import MediumError, Queue


def move_photos(source, target):
    """Move photos from folder `source` to `target`; a power cut leaves them in either, or both.

    Returns False when `target` takes none of them, though it is not full: it can only be read.
    """
    if source == target or not _is_there(source):
        return True
    moved = failed = 0
    files.make_folder(target)
    queue = Queue(source, keep=0)
    for entry in queue:
        try:
            _move(queue, entry, target)
            moved += 1
        except MediumError as cause:
            log.error("a photo on flash can't be read", why=log.words(cause), photo=entry.photo)
        except OSError as cause:
            log.error("a photo stays on flash", why=log.words(cause), photo=entry.photo)
            files.remove(target + "/" + entry.name + PICTURE)
            if cause.errno == files.ENOSPC:
                return True
            failed += 1
    return moved > 0 or failed == 0


def _is_there(folder):
    try:
        os.stat(folder)
    except OSError:
        return False
    return True


def _move(queue, entry, target):
    """Copy the picture first, then the marker; then remove the picture first, for a marker alone is nothing."""
    facts = queue.facts(entry)
    path = target + "/" + entry.name
    with queue.open(entry) as old, open(path + PICTURE, "wb") as new:
        while True:
            chunk = _read(old)
            if not chunk:
                break
            new.write(chunk)
        new.flush()
    files.write_json(path + WAITING, facts)
    queue.drop(entry)
    log.info("photo moved to the card", photo=entry.photo)


def _read(file):
    try:
        return file.read(CHUNK_BYTES)
    except OSError as cause:
        raise MediumError(log.words(cause))
