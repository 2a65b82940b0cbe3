"""What an SSD1306 shows, as a picture and as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

WIDTH: Final = 128
HEIGHT: Final = 64
BYTES: Final = WIDTH * HEIGHT // 8
_SCALE: Final = 4
_HALVES: Final = " ▀▄█"
_QUARTERS: Final = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"


def picture(pixels: bytes) -> Image.Image:
    """Return an SSD1306's memory (1,024 bytes, each a column of eight pixels, lowest bit on top) in black and white."""
    columns = Image.frombytes("1", (8, BYTES), pixels, "raw", "1;R")
    image = Image.new("1", (WIDTH, HEIGHT))
    for page in range(HEIGHT // 8):
        strip = columns.crop((0, page * WIDTH, 8, (page + 1) * WIDTH))
        image.paste(strip.transpose(Image.Transpose.TRANSPOSE), (0, page * 8))
    return image


def save_oled(pixels: bytes, path: Path) -> None:
    """Write the same memory as a PNG, enlarged."""
    image = ImageOps.scale(picture(pixels).convert("L"), _SCALE, Image.Resampling.NEAREST)
    beside = path.with_name(path.name + ".tmp")
    image.save(beside, "PNG")
    beside.replace(path)


def draw_text(pixels: bytes, *, wide: bool) -> list[str]:
    """Return the same memory as 32 lines of block characters: 64 in a line, or 128 that are easier to read."""
    pixels = pixels or bytes(BYTES)
    rule = "─" * (WIDTH if wide else WIDTH // 2)
    lines = (_halves(pixels, y) if wide else _quarters(pixels, y) for y in range(0, HEIGHT, 2))
    return [f"┌{rule}┐", *(f"│{line}│" for line in lines), f"└{rule}┘"]


def _halves(pixels: bytes, y: int) -> str:
    return "".join(_HALVES[pair] for pair in _pairs(pixels, y))


def _quarters(pixels: bytes, y: int) -> str:
    pairs = _pairs(pixels, y)
    return "".join(
        _QUARTERS[left & 1 | (right & 1) << 1 | (left & 2) << 1 | (right & 2) << 2]
        for left, right in zip(pairs, pairs, strict=True)
    )


def _pairs(pixels: bytes, y: int) -> Iterator[int]:
    """Yield, column by column, the pixel at `y` (1) and the one below it (2)."""
    page = pixels[y // 8 * WIDTH :][:WIDTH]
    return (octet >> y % 8 & 3 for octet in page)
