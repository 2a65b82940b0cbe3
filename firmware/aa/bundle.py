"""What a bundle of firmware says of itself, and whether to believe it: HMAC-SHA256 by this camera's own update key.

`bundle.json` names every file with its size and SHA-256; its signature is made by the server when it is asked for.
"""

import json
import sys
from binascii import hexlify, unhexlify
from hashlib import sha256

_BLOCK_BYTES = 64
_KEY_BYTES = 32
_MOST_FILES = 256
_MOST_FILE_BYTES = 262_144
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_/"


class BadBundle(Exception):
    """It is not to be installed: `error` is a reply's short code, the text says why."""

    def __init__(self, error, text):
        super().__init__(text)
        self.error = error


def key_of(secrets):
    """Return the update key's bytes.

    Raises:
        BadBundle: the camera has none.
    """
    try:
        key = unhexlify(secrets["update_key"])
    except (KeyError, ValueError, TypeError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadBundle("no_update_key", "secrets.json has no update_key: flash the camera again")
    return key


def check_signature(key, data, signature):
    """Check that `signature` (hex) is the HMAC-SHA256 (RFC 2104) of `data`.

    Raises:
        BadBundle: it is not.
    """
    padded = key + bytes(_BLOCK_BYTES - len(key))
    inner = sha256(bytes(octet ^ 0x36 for octet in padded))
    inner.update(data)
    outer = sha256(bytes(octet ^ 0x5C for octet in padded))
    outer.update(inner.digest())
    expected, said = hexlify(outer.digest()), signature.strip()
    differs = len(expected) ^ len(said)
    for at in range(min(len(expected), len(said))):  # all of them: how long it takes tells nothing
        differs |= expected[at] ^ said[at]
    if differs:
        raise BadBundle("bad_signature", "it was not made with this camera's update key")


def parse(data, board):
    """Return (version, files) of a bundle.json; files are dicts of path, bytes, sha256.

    Raises:
        BadBundle: it is none, or is not for this camera.
    """
    try:
        facts = json.loads(data)
        if facts["format"] != 1:
            raise ValueError("a format of the future")
        version, mpy, boards, files = facts["version"], facts["mpy"], facts["boards"], facts["files"]
        if not isinstance(version, str) or not version or not 0 < len(files) <= _MOST_FILES:
            raise ValueError("no version, or no files")
        for one in files:
            _check_file(one)
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise BadBundle("bad_bundle", "bundle.json: {}".format(cause))
    if boards and board not in boards:
        raise BadBundle("wrong_board", "{} is for {}".format(version, " ".join(boards)))
    if mpy and mpy.split(".")[0] != str(sys.implementation._mpy & 0xFF):
        raise BadBundle("wrong_mpy", "{} is compiled for mpy {}".format(version, mpy))
    return version, files


def _check_file(one):
    path = one["path"]
    stem, _, kind = path.rpartition(".")
    inside = path.startswith(("aa/", "boards/"))
    if not inside or kind not in ("py", "mpy") or any(letter not in _NAME_CHARACTERS for letter in stem):
        raise ValueError("no place for " + path)
    if type(one["bytes"]) is not int or not 0 <= one["bytes"] <= _MOST_FILE_BYTES or len(one["sha256"]) != 64:
        raise ValueError("no size or hash of " + path)


class Hash:
    """The SHA-256 of what it is given, in pieces."""

    def __init__(self):
        self._sha256 = sha256()
        self.size = 0

    def update(self, piece):
        """Take the next piece."""
        self._sha256.update(piece)
        self.size += len(piece)

    def is_of(self, one):
        """Whether that was the file `one` of a bundle, all of it. Asked once."""
        return self.size == one["bytes"] and hexlify(self._sha256.digest()).decode() == one["sha256"]
