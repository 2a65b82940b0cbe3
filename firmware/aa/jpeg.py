"""Just enough JPEG (ITU T.81) to know a frame that is whole, its size, a black one, and one that came before.

Nothing is decoded but one number. A frame's bytes are signed, as the camera's buffer has them.
"""

from binascii import crc32

_STANDALONE = (0x01, 0xD8) + tuple(range(0xD0, 0xD8))
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # DHT, JPG and DAC sit among the SOF markers
_LEAST_BYTES = 128
_TAIL_BYTES = 64
_EMPTY_BITS = (6, 4)  # a block that is as the one before it, in luma and in chroma, by the usual tables (Annex K)
_LITTLE = 4
_LEAST_SCAN = 16
_DARK = 24  # of 255: "black" in television's range is 16


def _word(frame, at):
    return (frame[at] & 0xFF) << 8 | frame[at + 1] & 0xFF


class Head:
    """What the segments before the scan say: width and height, 0 without a frame header; 0 as `scan` without a scan."""

    def __init__(self, frame):
        self.width = self.height = self.scan = 0
        self._steps = {}
        self._codes = {}
        self._parts = []
        self._tables = {}
        self._walk(frame, len(frame))

    def _walk(self, frame, end):
        at = 2
        while at + 9 <= end and frame[at] & 0xFF == 0xFF:
            kind = frame[at + 1] & 0xFF
            if kind in _STANDALONE or kind == 0xFF:
                at += 1 if kind == 0xFF else 2
                continue
            size = _word(frame, at + 2)
            if size < 2 or at + 2 + size > end:
                return
            if kind == 0xDA:
                pairs = range(at + 5, at + 5 + 2 * min(frame[at + 4], 4), 2)
                self._tables = {frame[pair]: (frame[pair + 1] & 0xFF) >> 4 for pair in pairs}
                self.scan = at + 2 + size
                return
            self._take(frame, kind, at + 4, at + 2 + size)
            at += 2 + size

    def _take(self, frame, kind, at, end):
        if kind == 0xDB:
            while at + 65 <= end:
                wide = (frame[at] & 0xF0) >> 4
                self._steps[frame[at] & 15] = _word(frame, at + 1) if wide else frame[at + 1] & 0xFF
                at += 129 if wide else 65
        elif kind == 0xC4:
            while at + 17 <= end:
                self._codes[frame[at] & 0xFF] = at + 1
                at += 17 + sum(frame[at + 1 + n] & 0xFF for n in range(16))
        elif 0xC0 <= kind <= 0xCF and kind not in _NO_FRAME and at + 6 <= end:
            self.height, self.width = _word(frame, at + 1), _word(frame, at + 3)
            count = min(frame[at + 5], (end - at - 6) // 3)
            for part in range(at + 6, at + 6 + 3 * count, 3):  # its name, its share across and down, its steps
                share = frame[part + 1] & 0xFF
                self._parts.append((frame[part], share >> 4, share & 15, frame[part + 2]))

    def _empty_bytes(self):
        """Return the size of a scan in which every block is as the one before it."""
        across = 8 * max(part[1] for part in self._parts)
        down = 8 * max(part[2] for part in self._parts)
        if not across or not down:
            return 0
        units = ((self.width + across - 1) // across) * ((self.height + down - 1) // down)
        bits = sum(_EMPTY_BITS[n > 0] * part[1] * part[2] for n, part in enumerate(self._parts))
        return units * bits // 8

    def is_black(self, frame):
        """Whether nothing in the frame is unlike its first corner, which is black.

        The more of the scan is above the least that any takes, the more there is to see. In bytes that goes with how
        finely brightness is told apart, which the first step of the quantization table says; so (above / least) times
        that step is much the same at each quality from 5 to 93. It is below 3 for frames of a sensor that does not
        expose yet, above 12 for a room at three tenths of its light, and 3 to 12 at one tenth. A dark picture
        with noise is a picture: the sensor has turned up its gain, and another try would be no better.
        """
        if not self._parts or not self.scan or len(frame) - self.scan < _LEAST_SCAN:
            return False
        step = self._steps.get(self._parts[0][3], 0)
        least = self._empty_bytes()
        above = len(frame) - self.scan - least
        if step == 0 or least == 0 or above * step > _LITTLE * least:
            return False
        level = self._first_level(frame)
        return level is not None and 128 + level * step // 8 <= _DARK

    def _first_level(self, frame):
        """Return the DC value of the first block (F.2.2.1), or None where it can't be read."""
        table = self._codes.get(self._tables.get(self._parts[0][0], 0))
        if table is None:
            return None
        bits = _bits(frame, self.scan)
        code = first = index = 0
        for length in range(16):
            code = code << 1 | next(bits)
            count = frame[table + length] & 0xFF
            if code - first < count:
                size = frame[table + 16 + index + code - first] & 0xFF
                break
            index += count
            first = (first + count) << 1
        else:
            return None
        value = 0
        for _ in range(size):
            value = value << 1 | next(bits)
        return value if size == 0 or value >> (size - 1) else value - (1 << size) + 1

    def fingerprint(self, frame):
        """Return what tells the scan apart from any other: its length and checksum."""
        return len(frame) - self.scan, crc32(memoryview(frame)[self.scan :])


def _bits(frame, at):
    """Yield the bits of a scan; the zero after a 0xFF is none of it."""
    while True:
        octet = frame[at] & 0xFF
        for shift in range(7, -1, -1):
            yield octet >> shift & 1
        at += 2 if octet == 0xFF else 1


def dimensions(frame):
    """Return (width, height) of a JPEG, walking its segments; None when it has no frame header."""
    head = Head(frame)
    return (head.width, head.height) if head.width and head.height else None


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
