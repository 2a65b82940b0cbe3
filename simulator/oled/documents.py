"""Which pictures of screens are committed, and where: each by itself for the tests, pages of them for the documents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from simulator.oled.sheet import sheet
from simulator.oled.shots import Drawn

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = ROOT / "tests" / "firmware" / "screens"
_DOCS: Final = ROOT / "docs"
_STORY: Final = ("ready", "flash", "uploading", "discord")


def documents(drawn: Sequence[Drawn]) -> dict[Path, Image.Image]:
    """Return the documents' pictures by where they belong: all screens, those of a low panel, the story of a press."""
    shown = [one for one in drawn if one.shot.caption]
    by_file = {one.shot.file: one for one in drawn}
    return {
        _DOCS / "screens.png": sheet([one for one in shown if one.image.height == 64], across=3),  # noqa: PLR2004
        _DOCS / "screens-low.png": sheet([one for one in shown if one.image.height == 32], across=3),  # noqa: PLR2004
        _DOCS / "press.png": sheet([by_file[file] for file in _STORY], across=4),
    }


def words(drawn: Sequence[Drawn]) -> str:
    """Return what each screen says in `status.display`, as a text to read."""
    return "".join(
        f"{one.shot.file}: {' | '.join(one.lines)}\n" for one in drawn if not one.shot.file.startswith("small")
    )


def write_shots(drawn: Sequence[Drawn]) -> list[Path]:
    """Write each screen's picture and all their words; remove what is no screen any more. Returns what changed."""
    GOLDEN.mkdir(exist_ok=True)
    changed: list[Path] = []
    for one in drawn:
        path = GOLDEN / f"{one.shot.file}.png"
        if not path.exists() or not same(path, one.image):
            one.image.save(path, "PNG", optimize=True)
            changed.append(path)
    (GOLDEN / "words.txt").write_text(words(drawn), encoding="utf-8")
    for path in GOLDEN.glob("*.png"):
        if path.stem not in {one.shot.file for one in drawn}:
            path.unlink()
            changed.append(path)
    return changed


def same(path: Path, image: Image.Image) -> bool:
    """Whether the picture in a file has the same pixels."""
    with Image.open(path) as committed:
        return committed.size == image.size and committed.convert("RGB").tobytes() == image.convert("RGB").tobytes()
