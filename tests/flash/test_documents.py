"""docs/flashing.md names for each board what the code names."""

from pathlib import Path

import pytest

from cli.flash import boards

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
    import re

    text = (DOCS / "hardware-checklist.md").read_text()
    minutes = [int(found) for found in re.findall(r"^\| \*\*\d+\*\* · (\d+) min", text, re.MULTILINE)]
    assert 25 <= sum(minutes) <= 35
    numbers = [int(found) for found in re.findall(r"^\| \*\*(\d+)\*\*", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    said = [int(found) for found in re.findall(r"^## .* \((\d+) min\)", text, re.MULTILINE)]
    assert sum(said) == sum(minutes)
