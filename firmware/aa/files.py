"""Files that survive a power cut: written whole beside the old one, flushed to the medium, renamed last.

A rename is one step on LittleFS, which is what an ESP32's flash has. FAT takes two to replace a file: between them
there is only the new one, under its temporary name; or it has both names, and to write to one would spoil the other.
What that left is mended without a rename: copied to a third name, which shares nothing, and back.
"""

import json
import os
from errno import ENOENT

ENOSPC = 28  # `errno` has no name for it
_BESIDE, _THIRD = ".tmp", ".new"


def sync():
    """Push what the file system still holds to the medium, where the port has a call for it."""
    if hasattr(os, "sync"):
        os.sync()


def write_whole(path, data):
    """Replace `path` by `data` (bytes) so that a power cut leaves the old file or the new one, never a mixture."""
    beside = path + _BESIDE
    _write(beside, data)
    os.rename(beside, path)
    sync()


def read_json(path, default):
    """Return the JSON value in `path`; `default` when the file is missing, no JSON, or not of the default's type.

    What power cuts left on FAT is mended, also when the last of them came while it was mended.
    """
    names = (path, path + _BESIDE, path + _THIRD)
    found = [_read(name) for name in names]
    for at, data in enumerate(found):
        value = _parse(data, default)
        if value is not None:
            if at or data == found[1] or found[2] is not None:
                _mend(names, data)
            return value
    return default


def _parse(data, default):
    try:
        value = json.loads(data or b"")
    except ValueError:
        return None
    return value if default is None or isinstance(value, type(default)) else None


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _mend(names, data):
    path, _, third = names
    try:
        if _read(third) != data:
            _write(third, data)
        for name in names[:2]:
            remove(name)
        _write(path, data)
        os.remove(third)
        sync()
    except OSError:
        pass  # as good as it was: the next boot tries again


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)
        file.flush()


def write_json(path, value):
    """Write a JSON value with `write_whole`."""
    write_whole(path, json.dumps(value).encode())


def listing(path):
    """Yield what `os.ilistdir` does, but for names that are no text: a folder on FAT may show what was there before it.

    Raises:
        OSError: the folder can't be read.
    """
    items = os.ilistdir(path)
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except UnicodeError:
            continue
        yield item


def make_folder(path):
    """Make a folder unless it is there."""
    try:
        os.mkdir(path)
    except OSError:
        os.stat(path)  # raises when it is not there, so mkdir failed for another reason


def exists(path):
    """Whether there is such a file or folder.

    Raises:
        OSError: nobody knows, for the medium can't be read.
    """
    try:
        os.stat(path)
    except OSError as cause:
        if cause.errno == ENOENT:
            return False
        raise
    return True


def remove(path):
    """Remove a file; one that is gone is fine."""
    try:
        os.remove(path)
    except OSError:
        pass


def free_kb(path):
    """Return the free space in KiB on the medium that holds `path`, or None where that can't be told."""
    return _space_kb(path, 4)  # f_bavail


def size_kb(path):
    """Return the size in KiB of the medium that holds `path`, or None where that can't be told."""
    return _space_kb(path, 2)  # f_blocks


def _space_kb(path, blocks):
    try:
        facts = os.statvfs(path)
    except (OSError, AttributeError):
        return None
    return facts[1] * facts[blocks] // 1024  # f_frsize
