"""The console of a virtual camera: what is typed is done, here and from another process, and nonsense is told so."""

import asyncio
import re
import stat

import pytest

from simulator.camera import Power
from simulator.console import WORDS, Console, check
from simulator.control import attached, serve
from simulator.errors import GoneError
from simulator.screen import draw_text


@pytest.fixture
async def console(camera):
    return Console(camera)


@pytest.fixture
def said(console):
    lines = []
    console.listen(lines.append)
    return lines


async def test_a_line_presses_cuts_and_gives_power(console, camera, said, soon):
    """Enter alone presses; without power a press says what is missing; what it says is heard."""
    await console.answer("")
    await soon(lambda: any(line.startswith("photo taken") for line in said), "a photo")
    assert await console.answer("power off") == []
    assert camera.power is Power.OFF
    assert await console.answer("press") == ["cam has no power: power on"]
    assert said[-1] == "[without power]"
    await console.answer("wifi down")
    await console.answer("power on")
    await soon(lambda: camera.power is Power.ON, "it runs")
    status = await console.answer("status")
    assert status[0] == "power    on"
    assert status[-1] == "wifi     down"


async def test_the_display_is_drawn(console, soon):
    """Its title is in the picture, and each form is as wide as it says."""
    await soon(lambda: any("█" in line for line in draw_text(console._camera.pixels, wide=True)), "it has drawn")
    for words, width in (("screen", 64), ("screen wide", 128)):
        lines = await console.answer(words)
        assert {len(line) for line in lines} == {width + 2}
        assert len(lines) == 34


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.usage)
def test_what_help_lists_can_be_said(word):
    first = word.usage.replace("[", "").replace("]", "").replace("HELD_MS", "80").replace("MV", "3700")
    first = first.replace("watchdog MS", "watchdog 2000").replace("exposure MS", "exposure 80")
    words = [part.split("|")[0] for part in first.replace(" N", " 2").split()]
    assert check(words) is None


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("pres", "do you mean press?"),
        ("wify down", "do you mean wifi?"),
        ("wifi dwn", "wifi down|up"),
        ("battery full", "battery MV"),
        ("frames black", "frames black|same|truncated|none N"),
        ("xyzzy", "`help` lists the words"),
    ],
)
async def test_what_is_not_understood_does_nothing_and_is_told(console, camera, line, hint):
    assert hint in "".join(await console.answer(line))
    assert camera.surroundings == {}


async def test_another_process_of_the_same_user_can_drive_it(console, camera, soon):
    """Over a socket that only this user can open; both hear what the camera says; the end is told."""
    async with attached("cam", camera.folder) as nobody:
        assert nobody is None
    async with serve(console, camera.folder), attached("cam", camera.folder) as there:
        control = camera.folder / "control"
        assert stat.S_IMODE(control.stat().st_mode) == 0o600
        lines = []
        there.listen(lines.append)
        assert await there.answer("wifi dwn") == [
            "wifi dwn: it is wifi down|up, wifi wrong-password, wifi dhcp, wifi reach NAME[=PASSWORD] …"
        ]
        await there.answer("press")
        await soon(lambda: any(line.startswith("photo delivered") for line in lines), "it hears the camera")
        still_there = there
    with pytest.raises(GoneError):
        await still_there.answer("press")
    assert not control.exists()


async def test_the_socket_s_folder_may_be_deep_and_an_old_socket_is_replaced(console, tmp_path):
    """The address of a Unix domain socket has 108 bytes; a killed process leaves its socket behind."""
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    async with serve(console, folder):
        (folder / "control").rename(folder / "left")
    (folder / "left").rename(folder / "control")
    async with attached("cam", folder) as there:
        assert there is None
    async with serve(console, folder), attached("cam", folder) as there:
        async with asyncio.timeout(10):
            assert (await there.answer("status"))[0] == "power    on"


def test_pixels_become_the_nearest_characters():
    """Bits go down a column, pages go down the display (SSD1306)."""
    pixels = bytearray(1024)
    pixels[0], pixels[1], pixels[128] = 0b01, 0b10, 0b11
    assert draw_text(bytes(pixels), wide=False)[1][1] == "▚"
    assert draw_text(bytes(pixels), wide=True)[1][1:3] == "▀▄"
    assert draw_text(bytes(pixels), wide=True)[5][1] == "█"


async def test_a_refused_token_is_told_with_what_to_do(console, camera, said):
    camera._tell("W mqtt down why=Refused: 5 not authorized")
    assert "`aperture simulate cam`" in said[-1]
    camera._tell("W mqtt down why=EOFError")
    assert said[-1] == "W mqtt down why=EOFError"


async def test_what_hangs_says_when_it_is_reset(console, camera, said, soon):
    """At once, and in the status as long as it hangs; a press without power is refused, one while it starts is not."""
    await soon(lambda: any(line.startswith("mqtt up") for line in said) or camera.bites_in_s, "it runs")
    [words] = await console.answer("hang")
    assert re.fullmatch(r"cam hangs: its watchdog resets it in (60|59) s, `power cut` at once", words)
    assert "it hangs: its watchdog resets it in" in (await console.answer("status"))[0]
    await console.answer("watchdog 500")  # heard by nobody any more
    await console.answer("power cut")
    assert await console.answer("press") == []
    await soon(lambda: any(line.startswith("photo taken") for line in said), "the press that came while it started")
    assert (await console.answer("status"))[0] == "power    on"
