"""Photo ids: 128 random bits as 26 characters of lower-case base32, as good as unguessable in a public URL."""

import os
from hashlib import sha256

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def new_photo_id():
    """Return a new id, from the chip's random generator (RFC 4648 alphabet, no padding)."""
    return _spell(os.urandom(16))


def recovered_photo_id(seq, digest):
    """Return the id of photo number `seq` whose own was lost, by its SHA-256 in hexadecimal: at each boot the same.

    The server makes the same of both, and so knows a photo again that it has under the id that was lost.
    """
    return _spell(sha256("recovered {} {}".format(seq, digest).encode()).digest()[:16])


def _spell(octets):
    bits = int.from_bytes(octets, "big") << 2  # 130 bits are 26 characters of 5
    return "".join(_BASE32[(bits >> shift) & 31] for shift in range(125, -1, -5))


def is_photo_id(text):
    """Whether `text` has the form of a photo's id."""
    return isinstance(text, str) and len(text) == 26 and all(letter in _BASE32 for letter in text)
