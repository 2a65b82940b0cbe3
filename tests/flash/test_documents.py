"""docs/flashing.md names for each board what the code names."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from cli.flash import boards, files
from cli.flash.display import Display

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", [name for name in boards.names() if boards.load(name).profile.get("image")])
def test_the_image_of_each_board_is_documented(name):
    """Its archive, chip and offset are in one line of the table, and the command for that chip is there."""
    image = boards.load(name).image
    lines = (DOCS / "flashing.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    offset = image.esptool("PORT").split()[-2]
    for word in (image.name, f"-{image.name}.zip", image.chip, offset):
        assert word in line
    assert any(f"--chip {image.chip} " in line and f"write-flash {offset} firmware.bin" in line for line in lines)


def test_an_esp32_starts_elsewhere_in_its_flash_than_an_s3():
    """The bootloader of an ESP32 is at 0x1000, of an ESP32-S3 at 0: written elsewhere, neither starts."""
    assert boards.load("aa3").image.esptool("P").endswith("0x1000 firmware.bin")
    assert boards.load("xiao-s3-sense").image.esptool("P").endswith("0x0 firmware.bin")


def test_the_check_list_can_be_followed_in_half_an_hour():
    """Its times add up to thirty minutes or so, and its steps are numbered without a gap."""
    text = (DOCS / "hardware-checklist.md").read_text()
    minutes = [int(found) for found in re.findall(r"^\| \*\*\d+\*\* · (\d+) min", text, re.MULTILINE)]
    assert 25 <= sum(minutes) <= 35
    numbers = [int(found) for found in re.findall(r"^\| \*\*(\d+)\*\*", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    said = [int(found) for found in re.findall(r"^## .* \((\d+) min\)", text, re.MULTILINE)]
    assert sum(said) == sum(minutes)


def test_the_example_copies_what_is_really_copied(libraries, tmp_path):
    """Its number of files and KiB are those of `aa3`, give or take a tenth; the file under way is one of them."""
    made = files.make(boards.load("aa3"), work=tmp_path, compiled=True, ca=None, cache=libraries / "aperture")
    copied = [*made.slot.values(), *made.beside.values()]
    text = (DOCS / "flashing.md").read_text()
    (said,) = re.findall(r"^Firmware  (\d+) files, (\d+) KiB$", text, re.MULTILINE)
    assert int(said[0]) == pytest.approx(len(copied), rel=0.1)
    assert int(said[1]) == pytest.approx(sum(file.size for file in copied) / 1024, rel=0.1)
    (line,) = re.findall(r"^  \[[#-]+\].*$", text, re.MULTILINE)
    done, total, path = re.fullmatch(r".*\] (\d+)/(\d+)  /a/(.*)", line).groups()
    assert total == said[0]
    assert path in made.slot
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    with redirect_stdout(terminal):
        Display(json=False).progress(int(done), int(total), f"/a/{path}")
    assert terminal.getvalue().strip() == line.strip(), "as it is shown"
