"""Turns the letters and icons that are drawn in firmware/art into bytes that the firmware blits.

A letter is drawn once, eight pixels high. Twice and three times as large, it is scaled here, with its diagonals joined
by half pixels, as a sign painter would; so all sizes are one family, and the camera does no more than copy bytes.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from simulator.firmware import FIRMWARE

ART: Final = FIRMWARE / "art"
TARGET: Final = FIRMWARE / "aa" / "glyphs.py"

_SPACE: Final = "SP"
_PER_LINE: Final = 27
_DIGITS: Final = "0123456789"
_HEAD: Final = '''"""Letters and icons, as columns of eight pixels, lowest bit on top (framebuf.MONO_VLSB).

Made of the drawings in firmware/art by `python -m simulator.oled`: change them there. `page` draws with them.

A letter's number n is its place in LETTERS. It is WIDTHS[n] pixels wide; OFFSETS has how many columns come before it,
two bytes each, the lower first. In SIZE_s it has s rows of s * width columns; SIZE_3 has only digits. An icon is its
width, its height, and its columns.
"""
'''

Pixels = list[list[bool]]


def drawn_letters() -> dict[str, Pixels]:
    """Return each letter's pixels: blocks of letters side by side, eight rows each, below a line with their names."""
    letters: dict[str, Pixels] = {}
    for block in (ART / "letters.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        names, *rows = [line.split() for line in block.splitlines()]
        for column, name in enumerate(names):
            letters[" " if name == _SPACE else name] = [[dot == "#" for dot in row[column]] for row in rows]
    return dict(sorted(letters.items()))


def drawn_icons() -> dict[str, Pixels]:
    """Return each icon's pixels, by name."""
    blocks = (ART / "icons.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return {
        name: [[dot == "#" for dot in row] for row in rows] for name, *rows in (block.splitlines() for block in blocks)
    }


def scaled(pixels: Pixels, times: int) -> Pixels:
    """Return pixels `times` as large. Where two touch only at a corner, the step between them becomes a slope."""
    height, width = len(pixels), len(pixels[0])

    def lit(x: int, y: int) -> bool:
        return 0 <= x < width and 0 <= y < height and pixels[y][x]

    large = [[pixels[y // times][x // times] for x in range(width * times)] for y in range(height * times)]
    for y in range(height):
        for x in range(width):
            for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
                if not lit(x, y) and lit(x + dx, y) and lit(x, y + dy) and not lit(x + dx, y + dy):
                    for i, j in _corner(times, right=dx > 0, low=dy > 0):
                        large[y * times + j][x * times + i] = True
    return large


def _corner(times: int, *, right: bool, low: bool) -> Iterator[tuple[int, int]]:
    """Yield the places of a triangle in one corner of a square of that size."""
    for i in range(times - 1):
        for j in range(times - 1 - i):
            yield times - 1 - i if right else i, times - 1 - j if low else j


def columns(pixels: Pixels) -> bytes:
    """Return pixels as framebuf.MONO_VLSB: row by row of eight pixels, column by column, lowest bit on top."""
    return bytes(
        sum(1 << bit for bit, row in enumerate(pixels[top : top + 8]) if row[x])
        for top in range(0, len(pixels), 8)
        for x in range(len(pixels[0]))
    )


def source() -> str:
    """Return the text of `aa/glyphs.py`."""
    letters, icons = drawn_letters(), drawn_icons()
    widths = [len(pixels[0]) for pixels in letters.values()]
    offsets = struct.pack(f"<{len(widths)}H", *(sum(widths[:number]) for number in range(len(widths))))
    digits = {digit: letters[digit] for digit in _DIGITS}
    parts = [
        _HEAD,
        "LETTERS = " + _text("".join(letters)),
        _bytes("WIDTHS", bytes(widths)),
        _bytes("OFFSETS", offsets),
        *(
            _bytes(f"SIZE_{size}", b"".join(columns(scaled(pixels, size)) for pixels in chosen.values()))
            for size, chosen in ((1, letters), (2, letters), (3, digits))
        ),
        *(
            _bytes(name.upper(), bytes((len(pixels[0]), len(pixels))) + columns(pixels))
            for name, pixels in icons.items()
        ),
    ]
    return "\n".join(parts) + "\n"


def _text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bytes(name: str, data: bytes) -> str:
    escaped = [f"\\x{octet:02x}" for octet in data]
    lines = ["".join(escaped[at : at + _PER_LINE]) for at in range(0, len(escaped), _PER_LINE)]
    if len(lines) == 1:
        return f'{name} = b"{lines[0]}"'
    return "\n".join((f"{name} = (", *(f'    b"{line}"' for line in lines), ")"))


def write(target: Path = TARGET) -> None:
    """Write `aa/glyphs.py` anew."""
    target.write_text(source(), encoding="utf-8")
