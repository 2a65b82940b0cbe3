"""Files that survive a power cut: written whole beside the old one, flushed to the medium, renamed last."""

import json
import os

ENOSPC = 28  # `errno` has no name for it


def sync():
    """Push what the file system still holds to the medium, where the port has a call for it."""
    if hasattr(os, "sync"):
        os.sync()


def write_whole(path, data):
    """Replace `path` by `data` (bytes) so that a power cut leaves the old file or the new one, never a mixture."""
    beside = path + ".tmp"
    with open(beside, "wb") as file:
        file.write(data)
        file.flush()
    os.rename(beside, path)
    sync()


def read_json(path, default):
    """Return the JSON value in `path`; `default` when the file is missing, no JSON, or not of the default's type."""
    try:
        with open(path) as file:
            value = json.load(file)
    except (OSError, ValueError):
        return default
    return value if default is None or isinstance(value, type(default)) else default


def write_json(path, value):
    """Write a JSON value with `write_whole`."""
    write_whole(path, json.dumps(value).encode())


def make_folder(path):
    """Make a folder unless it is there."""
    try:
        os.mkdir(path)
    except OSError:
        os.stat(path)  # raises when it is not there, so mkdir failed for another reason


def remove(path):
    """Remove a file; one that is gone is fine."""
    try:
        os.remove(path)
    except OSError:
        pass


def free_kb(path):
    """Return the free space in KiB on the medium that holds `path`, or None where that can't be told."""
    try:
        facts = os.statvfs(path)
    except (OSError, AttributeError):
        return None
    return facts[1] * facts[4] // 1024  # f_frsize * f_bavail
