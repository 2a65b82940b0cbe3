"""What the display shows: each screen, pixel by pixel, as committed. `python -m simulator.oled` makes them anew."""

import re
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from simulator.firmware import FIRMWARE
from simulator.oled import art
from simulator.oled.documents import GOLDEN, documents, same, words
from simulator.oled.shots import SHOTS, SMALL, Drawn, Shot, draw

ALL = {shot.file: shot for shot in SHOTS + SMALL}
AGAIN = "if this is meant: .venv/bin/python -m simulator.oled, and look at it"


@pytest.fixture(scope="module")
def drawn(libraries: Path) -> dict[str, Drawn]:
    """Every screen, drawn by the firmware through the real ssd1306 onto the simulated panel."""
    return {one.shot.file: one for one in draw(tuple(ALL.values()), libraries=libraries)}


def difference(committed: Image.Image, now: Image.Image) -> str:
    """Return the rows that differ, as text: `#` lit in both, `+` only now, `-` no longer."""
    marks = {(0, 0): ".", (255, 255): "#", (0, 255): "+", (255, 0): "-"}
    old, new = committed.convert("L"), now.convert("L")
    _, top, _, bottom = ImageChops.difference(old, new).getbbox() or (0, 0, 0, 0)
    rows = [
        "".join(marks[old.getpixel((x, y)), new.getpixel((x, y))] for x in range(old.width)) for y in range(top, bottom)
    ]
    return f"rows {top} to {bottom - 1} ({AGAIN})\n" + "\n".join(rows)


@pytest.mark.parametrize("file", ALL)
def test_a_screen_looks_as_committed(drawn, file):
    """Every dot of it."""
    with Image.open(GOLDEN / f"{file}.png") as committed:
        assert committed.size == drawn[file].image.size
        if not same(GOLDEN / f"{file}.png", drawn[file].image):
            pytest.fail(difference(committed, drawn[file].image))


def test_every_screen_that_the_firmware_has_is_on_the_page_of_all():
    functions = re.findall(r"^def ([a-z]\w*)\(page, view\)", (FIRMWARE / "aa" / "screens.py").read_text(), re.MULTILINE)
    assert set(functions) == {shot.screen for shot in SHOTS if shot.caption}
    assert len(functions) == 12


def test_there_is_no_picture_of_a_screen_that_is_no_more():
    assert {path.stem for path in GOLDEN.glob("*.png")} == set(ALL)


def test_a_dot_that_differs_is_found_and_shown(drawn, tmp_path):
    """The comparison can fail, and says where."""
    image = drawn["ready"].image.copy()
    image.putpixel((100, 40), 255)
    assert not same(GOLDEN / "ready.png", image)
    with Image.open(GOLDEN / "ready.png") as committed:
        shown = difference(committed, image)
    assert "rows 40 to 40" in shown
    assert shown.count("+") == 1
    assert "-" not in shown.splitlines()[1]


def test_what_the_status_says_is_what_is_shown_in_words(drawn):
    """Line by line, with icons in words; `status.display` takes 16 lines of 300 characters."""
    assert words(list(drawn.values())) == (GOLDEN / "words.txt").read_text(encoding="utf-8"), AGAIN
    assert all(1 <= len(one.lines) <= 16 and all(0 < len(line) <= 300 for line in one.lines) for one in drawn.values())
    for one in SHOTS:
        assert drawn[one.file].lines[0] == one.view["name"], "the whole name, however it is shortened on the panel"


@pytest.mark.parametrize("shot", [shot for shot in SHOTS + SMALL if shot.screen != "flash"], ids=lambda shot: shot.file)
def test_nothing_is_cut_off_at_an_edge(drawn, shot: Shot):
    """Two columns stay free to the left and to the right, but for bars and corners that are meant to reach them."""
    image = drawn[shot.file].image.convert("L")
    top, bottom = 0, shot.height
    if shot.screen == "error":
        bottom -= 12
    if shot.screen == "identify":
        top, bottom = 8, bottom - 8
    for left in (0, 126):
        assert image.crop((left, top, left + 2, bottom)).getbbox() is None


def test_the_header_stays_in_the_upper_part_of_a_panel_in_two_colours(drawn):
    """Many SSD1306 are yellow in their first 16 rows: nothing lies across the border."""
    for shot in SHOTS:
        if shot.screen not in {"boot", "flash", "identify"}:
            assert drawn[shot.file].image.convert("L").crop((0, 13, 128, 16)).getbbox() is None, shot.file


def test_the_documents_show_the_screens_of_now(drawn):
    for path, image in documents(list(drawn.values())).items():
        assert same(path, image), f"{path.name}: {AGAIN}"


def test_the_font_is_the_one_that_is_drawn():
    """`aa/glyphs.py` is made of firmware/art."""
    assert art.TARGET.read_text(encoding="utf-8") == art.source(), AGAIN


def test_a_letter_twice_as_large_has_slopes_where_it_had_steps():
    """And square corners where two strokes meet."""
    step = [[False, True], [True, False]]
    assert art.scaled(step, 2) == [
        [False, False, True, True],
        [False, True, True, True],
        [True, True, True, False],
        [True, True, False, False],
    ]
    corner = [[True, True], [True, False]]
    assert art.scaled(corner, 2)[2] == [True, True, False, False]
