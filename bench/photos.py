"""JPEGs to measure with: real ones of about 100 KB, each different from all others."""

import hashlib
import io
import os
import random
from dataclasses import dataclass

from PIL import Image

from aperture.contract.ids import new_photo_id


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo to upload."""

    id: str
    data: bytes
    sha256: str


def make(count: int, *, size: int = 100_000, seen: bool = False) -> list[Shot]:
    """Return distinct JPEGs of exactly `size` bytes: comments make the difference, or with `seen` the picture too."""
    frame = _frame(size - 2000)
    shots: list[Shot] = []
    for number in range(count):
        if seen:
            frame = _frame(size - 2000, seed=number)
        data = frame[:2] + _comments(size - len(frame)) + frame[2:]
        shots.append(Shot(new_photo_id(), data, hashlib.sha256(data).hexdigest()))
    return shots


def _frame(most: int, *, seed: int = 1) -> bytes:
    noise = random.Random(seed).randbytes(480 * 360 * 3)
    image = Image.frombytes("RGB", (480, 360), noise)
    for quality in range(95, 5, -5):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if len(file.getvalue()) <= most:
            return file.getvalue()
    raise ValueError("no quality is low enough")


def _comments(room: int) -> bytes:
    parts: list[bytes] = []
    while room:
        length = min(room, 60_000)
        if 0 < room - length < 20:
            length -= 20
        parts.append(b"\xff\xfe" + (length - 2).to_bytes(2, "big") + os.urandom(length - 4))
        room -= length
    return b"".join(parts)
