"""Just enough JPEG (ITU T.81 Annex B) to know a frame that is whole, and its size."""

_STANDALONE = (0x01, 0xD8) + tuple(range(0xD0, 0xD8))
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # DHT, JPG and DAC sit among the SOF markers
_LEAST_BYTES = 128
_TAIL_BYTES = 64


def dimensions(frame):
    """Return (width, height) of a JPEG, walking its segments to the frame header; None when it has none.

    `frame` is the camera's buffer, whose bytes are signed.
    """
    at = 2
    end = len(frame)
    while at + 9 <= end:
        if frame[at] & 0xFF != 0xFF:
            return None
        kind = frame[at + 1] & 0xFF
        if kind in _STANDALONE or kind == 0xFF:
            at += 1 if kind == 0xFF else 2
        elif 0xC0 <= kind <= 0xCF and kind not in _NO_FRAME:
            height = (frame[at + 5] & 0xFF) << 8 | frame[at + 6] & 0xFF
            width = (frame[at + 7] & 0xFF) << 8 | frame[at + 8] & 0xFF
            return width, height
        else:
            at += 2 + ((frame[at + 2] & 0xFF) << 8 | frame[at + 3] & 0xFF)
    return None


def is_whole(frame):
    """Whether a frame starts with SOI and has its EOI near the end (some sensors pad with zeros after it)."""
    return _has_both_ends(len(frame), bytes(frame[:2]), bytes(frame[-_TAIL_BYTES:]))


def is_whole_file(file, size):
    """Whether an open file of `size` bytes starts and ends as a whole JPEG does."""
    head = file.read(2)
    file.seek(max(0, size - _TAIL_BYTES))
    return _has_both_ends(size, head, file.read(_TAIL_BYTES))


def _has_both_ends(size, head, tail):
    return size >= _LEAST_BYTES and head == b"\xff\xd8" and b"\xff\xd9" in tail
