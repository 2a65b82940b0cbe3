"""`aperture flash` as its owner types it: the real mpremote, MicroPython behind a PTY, a real server."""

import asyncio
import io
import json
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from aperture.contract.messages import Presence
from simulator.firmware import device_files

pytestmark = pytest.mark.timeout(180)

BASE = ("--camera", "front", "--board", "sim", "--host", "127.0.0.1", "--wifi", "home")


def named(name: str) -> tuple[str, ...]:
    return ("--camera", name, *BASE[2:])


def secrets_of(board):
    return json.loads((board.flash / "secrets.json").read_text())


def names_below(folder: Path):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_one_command_makes_a_camera_of_a_board(server, make_board):
    """From MicroPython and nothing else to `online`: files, display driver, secrets, reset, and the camera's word."""
    board = await make_board()
    run = await server.flash(str(board.port), *BASE)
    said = await run.ends()
    assert server.cli("camera", "show", "front")["presence"] == Presence.ONLINE
    assert "Online    front" in said
    secrets = secrets_of(board)
    assert secrets["camera"] == "front"
    assert secrets["wifi"] == {"ssid": "home", "password": "correct-horse-battery"}
    assert len(secrets["update_key"]) == 64
    on_board = names_below(board.flash)
    expected = {name.strip("/").replace(".py", ".mpy") for name in device_files()} - {"main.mpy"} | {"main.py"}
    assert json.loads((board.flash / "a/bundle.json").read_text())["mpy"] == "6.3", (
        "what an update over the air is told"
    )
    assert on_board >= expected | {"lib/ssd1306.mpy", "secrets.json"}
    assert not [name for name in on_board if name.endswith(".tmp")]
    for number in range(1, len(expected)):
        assert f"{number}/" in said, "a line for each file"


async def test_no_secret_is_printed_or_left_on_this_machine(server, flashed):
    """Neither token nor password is in the output or the server's log; temporary files go; nothing is remembered."""
    board = await flashed()
    run = await server.flash(str(board.port), *named("quiet"), TMPDIR=str(server.folder))
    said = await run.ends()
    secrets = secrets_of(board)
    for secret in (secrets["token"], secrets["update_key"], secrets["wifi"]["password"]):
        assert secret not in said
        assert secret not in (server.folder / "up.out").read_text()
    assert not list(server.folder.glob("aperture-flash-*"))
    remembered = [path for path in server.folder.rglob("wifi.json") if "flashed" not in path.parts]  # the boards' own
    assert not remembered, "nobody said that it may be"


async def test_flashing_again_copies_nothing_and_keeps_the_token(server, flashed):
    """What is there is found by its hash; the camera's own token is still good, so nobody is cut off."""
    board = await flashed()
    before = secrets_of(board)
    run = await server.flash(str(board.port), "--camera", "front", "--board", "sim", "--host", "127.0.0.1", "--json")
    said = await run.ends()
    assert secrets_of(board) == before, "the Wi-Fi is the camera's own, too"
    result = json.loads(said[said.index("\n{") :])
    assert (result["copied"], result["removed"], result["online"]) == ([], [], True)
    assert result["status"]["board"] == "sim"


async def test_a_new_version_goes_to_the_other_slot_and_photos_stay(server, flashed):
    """The camera's old firmware stays whole beside the new; what is stale goes; photos and settings are kept."""

    def age(flash: Path) -> None:
        (flash / "a/aa/app.mpy").write_bytes(b"M\x06 another version")
        for path, text in {
            "b/aa/gone.mpy": "stale",
            "b/aa/app.py": "would be taken before app.mpy",
            "aa/app.py": "from before there were slots",
            "boards/aa3.py": "from before there were slots",
            "lib/ssd1306.py": "would be taken before ssd1306.mpy",
            "lib/mine.py": "the owner's own",
            "settings.json": '{"quality": 60}',
            "secrets.json": json.dumps(json.loads((flash / "secrets.json").read_text()) | {"hostname": "porch"}),
        }.items():
            (flash / path).parent.mkdir(parents=True, exist_ok=True)
            (flash / path).write_text(text)
        (flash / "photos/000012").mkdir(parents=True)
        (flash / "photos/000012/07.jpg").write_bytes(photo)

    file = io.BytesIO()
    Image.effect_noise((64, 48), 90).save(file, "JPEG")
    photo = file.getvalue()
    board = await flashed(age)
    old = names_below(board.flash / "a")
    run = await server.flash(str(board.port), *BASE, "--no-wait")
    await run.ends()
    await board.power_off()
    assert json.loads((board.flash / "slots.json").read_text()) == {"active": "b", "trial": None}
    assert names_below(board.flash / "b") == old
    assert (board.flash / "a/aa/app.mpy").read_bytes() == b"M\x06 another version", "the old one stays"
    assert (board.flash / "settings.json").read_text() == '{"quality": 60}'
    assert secrets_of(board)["hostname"] == "porch"
    assert (board.flash / "lib/mine.py").exists()
    there = [path for path in board.folder.rglob("*.jpg") if path.read_bytes() == photo]
    assert there, "on flash, or where the firmware has moved it since"
    assert not (board.flash / "lib/ssd1306.py").exists()
    assert not (board.flash / "aa").exists()
    assert not (board.flash / "boards").exists()


async def test_a_dry_run_changes_nothing(server, make_board):
    """It lists what would be done; the board is as it was, and there is no new camera."""
    board = await make_board()
    run = await server.flash(str(board.port), *named("cam-d"), "--dry-run", "--json")
    said = await run.ends()
    assert names_below(board.flash) == set()
    result = json.loads(said[said.index("\n{") :])
    assert "/main.py" in result["copied"]
    assert result["online"] is None
    assert "cam-d" not in {camera["camera"] for camera in server.cli("camera", "list")}


async def test_a_server_that_listens_on_its_own_machine_alone_is_told_before_anything(server, make_board):
    """Nobody waits for a camera that can't get through; something may pass on to it, so it is no error."""
    board = await make_board()
    base = (str(board.port), "--camera", "cam-e", "--board", "sim", "--wifi", "home", "--dry-run", "--host")
    note = "the server listens at 127.0.0.1, this machine alone"
    assert note in await (await server.flash(*base, "192.0.2.7")).ends()
    assert note not in await (await server.flash(*base, "127.0.0.1")).ends()


async def test_a_camera_whose_token_this_board_lacks_gets_a_new_one_and_it_says_so(server, flashed):
    """A board of another name is told, too."""
    old = server.cli("camera", "add", "cam-b")["token"]

    def wait(flash: Path) -> None:
        for name in ("photos/000012/07.jpg", "photos/000012/08.jpg", "photos/000012/08.ok", "queue/9-x.jpg"):
            (flash / name).parent.mkdir(parents=True, exist_ok=True)
            (flash / name).write_text("")

    board = await flashed(wait)
    await board.power_off()
    (board.flash / "main.py").rename(board.flash / "kept.py")  # so that nothing sees to these before
    board.power_on()
    said = await (await server.flash(str(board.port), *named("cam-b"), "--no-wait")).ends()
    assert "; 2 photos that wait on it will be cam-b's" in said
    assert "a new one, and the old one is void" in said
    assert "this board was the camera 'front' until now" in said
    assert secrets_of(board)["token"] != old
    assert secrets_of(board)["camera"] == "cam-b"


async def test_a_token_of_ones_own_is_kept(server, flashed):
    """The environment may have the camera's token: it is checked, used, and not replaced."""
    token = server.cli("camera", "add", "cam-c")["token"]
    board = await flashed()
    run = await server.flash(str(board.port), *named("cam-c"), "--no-wait", APERTURE_CAMERA_TOKEN="x" * 26)
    assert "not the token" in await run.ends(1)
    run = await server.flash(str(board.port), *named("cam-c"), APERTURE_CAMERA_TOKEN=token)
    await run.ends()
    assert secrets_of(board)["token"] == token


async def test_the_secrets_file_is_private_on_its_way(server, flashed):
    """The scripts that mpremote sends, which hold the secrets, are readable by their owner alone."""
    board = await flashed()
    run = await server.flash(str(board.port), *named("cam-e"), TMPDIR=str(server.folder))
    seen: set[int] = set()
    while run.process.returncode is None:
        for path in server.folder.glob("aperture-flash-*/parcel-*.py"):
            with suppress(FileNotFoundError):
                seen.add(stat.S_IMODE(path.stat().st_mode))
        await asyncio.sleep(0.002)
    await run.ends()
    assert seen == {0o600}
