"""Pages that show screens as they look on a panel, for the documents."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageOps

from simulator.oled.art import Pixels, drawn_letters, scaled
from simulator.oled.shots import Drawn

_SCALE: Final = 3
_GLASS: Final = 12
_GAP: Final = 22
_CAPTION: Final = 34
_LIT, _DARK, _FRAME, _INK, _PAPER = "#d6ecff", "#05070a", "#1b2027", "#3c4450", "#ffffff"


def sheet(drawn: Sequence[Drawn], *, across: int) -> Image.Image:
    """Return a page with so many screens in a row, each with its caption."""
    height = drawn[0].image.height * _SCALE
    cell = (128 * _SCALE + 2 * _GLASS + _GAP, height + 2 * _GLASS + _CAPTION + _GAP)
    down = -(-len(drawn) // across)
    page = Image.new("RGB", (cell[0] * across + _GAP, cell[1] * down + _GAP), _PAPER)
    letters = {letter: scaled(pixels, 2) for letter, pixels in drawn_letters().items()}
    for number, one in enumerate(drawn):
        left, top = _GAP + number % across * cell[0], _GAP + number // across * cell[1]
        _panel(page, one.image, left, top)
        _write(page, letters, one.shot.caption, left + _GLASS, top + height + 2 * _GLASS + 8)
    return page.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)


def _panel(page: Image.Image, image: Image.Image, left: int, top: int) -> None:
    large = ImageOps.scale(image.convert("L"), _SCALE, Image.Resampling.NEAREST)
    box = (left, top, left + large.width + 2 * _GLASS - 1, top + large.height + 2 * _GLASS - 1)
    ImageDraw.Draw(page).rounded_rectangle(box, radius=8, fill=_FRAME)
    inner = (left + _GLASS - 4, top + _GLASS - 4, box[2] - _GLASS + 4, box[3] - _GLASS + 4)
    ImageDraw.Draw(page).rectangle(inner, fill=_DARK)
    page.paste(ImageOps.colorize(large, _DARK, _LIT), (left + _GLASS, top + _GLASS))


def _write(page: Image.Image, letters: dict[str, Pixels], words: str, x: int, y: int) -> None:
    """Write in the camera's own letters, which look the same on every machine."""
    draw = ImageDraw.Draw(page)
    for letter in words:
        shape = letters[letter]
        draw.point([(x + i, y + j) for j, row in enumerate(shape) for i, dot in enumerate(row) if dot], fill=_INK)
        x += len(shape[0]) + 2
