"""Photo ids: 128 random bits as 26 characters of lower-case base32, as good as unguessable in a public URL."""

import os

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def new_photo_id():
    """Return a new id, from the chip's random generator (RFC 4648 alphabet, no padding)."""
    bits = int.from_bytes(os.urandom(16), "big") << 2  # 130 bits are 26 characters of 5
    return "".join(_BASE32[(bits >> shift) & 31] for shift in range(125, -1, -5))


def is_photo_id(text):
    """Whether `text` has the form of a photo's id."""
    return isinstance(text, str) and len(text) == 26 and all(letter in _BASE32 for letter in text)
