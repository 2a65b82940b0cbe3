"""The virtual camera when a part of it fails: card, sensor, firmware. What was taken is delivered in the end."""

import shutil
import subprocess

import psutil
import pytest
import structlog.testing
from PIL import Image

from simulator.camera import waiting_photos


def arrived(uploads, photo):
    path = uploads / f"{photo}.jpg"
    return path.read_bytes() if path.exists() else b""


def taken(camera):
    return [path.read_bytes() for path in sorted(camera.taken.glob("*.jpg"))]


def waiting(camera, medium="card"):
    return waiting_photos(camera.folder / medium)


@pytest.fixture
def small_card(tmp_path):
    """A card of 400 KB, where a file system can be mounted."""
    card = tmp_path / "camera" / "card"
    card.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", card], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs root and mount: {mounted.stderr.strip()}")
    yield card
    subprocess.run(["umount", card], check=True)


async def test_a_full_card_refuses_aloud_and_loses_nothing(small_card, make_camera, ears, ftp, uploads, soon):
    """Photos go to flash then. A command for which there is no room at all says so; what was taken is delivered."""
    camera = await make_camera()
    await ears.hears_presence(b"online")
    await ftp.stop()
    count = 0
    while not ears.bodies("reply") or ears.objects("reply")[-1]["ok"]:
        count += 1
        await ears.command(f"c{count}", "shutter")
        await ears.hears("reply", count)
    refused = ears.objects("reply")[-1]
    assert refused["error"] == "storage_full"
    kept = {one["photo"] for one in ears.objects("shutter")}
    assert len(kept) == count - 1 >= 3
    assert len(waiting(camera)) >= 3
    assert len(waiting(camera)) + len(waiting(camera, "flash")) == len(kept)
    await ftp.start()
    await soon(
        lambda: {path.stem for path in uploads.iterdir()} == kept and not camera.waiting, "all are delivered", 90
    )
    await camera.press()
    await ears.hears("shutter", count)


async def test_a_camera_without_a_picture_says_so(make_camera, ears, tmp_path, soon):
    """No frame is no photo: the command is answered, and the next one finds the camera well."""
    frames = tmp_path / "frames"
    frames.mkdir()
    Image.new("L", (64, 64)).save(frames / "a.jpg", "JPEG")
    whole = (frames / "a.jpg").read_bytes()
    (frames / "a.jpg").write_bytes(whole[: len(whole) // 2])  # no end of image
    camera = await make_camera(frames=frames)
    await ears.hears_presence(b"online")
    await ears.command("c1", "shutter")
    assert (await ears.hears("reply"))[0]["error"] == "no_photo"
    assert not waiting(camera)
    (frames / "a.jpg").write_bytes(whole)
    await ears.command("c2", "shutter")
    assert (await ears.hears("reply", 2))[1]["ok"]
    assert ears.bodies("presence") == [b"online"]


async def test_a_sensor_that_hangs_is_reset(make_camera, ears, tmp_path):
    """Three presses without a picture: the chip starts anew."""
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "a.jpg").write_bytes(b"no picture")
    camera = await make_camera(frames=frames)
    await ears.hears_presence(b"online")
    for _ in range(3):
        await camera.press()
    await ears.hears_presence(b"online", 2)
    assert ears.bodies("presence") == [b"online", b"offline", b"online"]
    assert ears.objects("status")[-1]["reset_cause"] == "soft"


async def test_firmware_that_crashes_is_started_again(camera, ears, uploads, soon):
    """As a chip that panics; what was on the card is delivered."""
    ears.acks = False
    await camera.press()
    await ears.hears("shutter")
    [child] = [one for one in psutil.Process().children() if "power_on.py" in " ".join(one.cmdline())]
    child.kill()
    ears.acks = True
    await ears.hears_presence(b"online", 2)
    assert ears.objects("status")[-1]["reset_cause"] == "hard"
    await soon(lambda: not waiting(camera), "nothing waits")
    await camera.power_on()  # it has power already


async def test_a_card_that_cannot_be_read_costs_no_photo(camera, ears, ftp, uploads, soon):
    """Photos wait on flash meanwhile, and are handed over from there though the card is well again."""
    await camera.kill()
    card = camera.folder / "card"
    shutil.rmtree(card)
    card.write_text("damaged")
    await ftp.stop()
    await camera.power_on()
    await ears.hears_presence(b"online", 2)
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert "sd_free_kb" in ears.objects("status")[-1]
    assert ears.objects("status")[-1]["sd_free_kb"] is None
    assert len(waiting(camera, "flash")) == 1
    await camera.kill()
    card.unlink()
    card.mkdir()
    await camera.power_on()
    await ears.hears_presence(b"online", 3)
    await camera.press()
    [*_, later] = await ears.hears("shutter", 3)
    assert later["seq"] == manifest["seq"] + 1
    assert len(waiting(camera)) == 1
    await ftp.start()
    await soon(lambda: arrived(uploads, manifest["photo"]) == taken(camera)[0], "it arrives")
    await soon(lambda: not waiting(camera) and not waiting(camera, "flash"), "nothing waits")


def announced(ears):
    """Return the ids of all photos that were announced, each once, in the order of their first time."""
    return list(dict.fromkeys(one["photo"] for one in ears.objects("shutter")))


async def test_a_card_pulled_in_the_middle_of_a_photo_costs_none(camera, ears, ftp, uploads, soon):
    """Neither the one that is being written nor those on the card; and put back, it is used again from the next start."""
    await ftp.stop()
    ears.acks = False
    await camera.press()
    await ears.hears("shutter")
    await camera.say("card out 6000")
    await camera.press()
    await ears.hears_presence(b"online", 2)
    await soon(lambda: len(announced(ears)) == 2, "it goes to flash")
    assert len(waiting(camera, "flash")) == 1
    await camera.press()
    await soon(lambda: len(announced(ears)) == 3, "so does the next")
    assert len(waiting(camera, "flash")) == 2
    await camera.kill()
    await camera.say("card in")
    await camera.power_on()
    await ears.hears_presence(b"online", 3)
    await camera.press()
    await soon(lambda: len(announced(ears)) == 4, "the card takes photos again")
    assert len(waiting(camera)) == 2
    ears.acks = True
    await ftp.start()
    photos, frames = announced(ears), taken(camera)
    await soon(lambda: [arrived(uploads, photo) for photo in photos] == frames, "all arrive")
    await soon(lambda: not waiting(camera) and not waiting(camera, "flash"), "nothing waits")
    assert announced(ears) == photos, "none under a second name"


async def test_a_card_pulled_in_the_middle_of_an_upload_costs_none(camera, ears, ftp, uploads, soon):
    """What is on it waits until it is back; what is taken meanwhile goes by way of flash."""
    await ftp.stop()
    for count in (1, 2, 3):
        await camera.press()
        await ears.hears("shutter", count)
    await camera.say("card out 6000")
    await ftp.start()
    await camera.press()
    await ears.hears_presence(b"online", 2)
    photos, frames = announced(ears), taken(camera)
    await soon(lambda: arrived(uploads, photos[3]) == frames[3], "the one on flash arrives")
    assert not all(arrived(uploads, photo) for photo in photos[:3])
    await camera.kill()
    await camera.say("card in")
    await camera.power_on()
    await soon(lambda: [arrived(uploads, photo) for photo in photos] == frames, "all arrive")
    await soon(lambda: not waiting(camera) and not waiting(camera, "flash"), "nothing waits")


async def test_a_card_that_is_pulled_is_told_in_words(camera, ears, soon):
    """What happened, where the photos are meanwhile, and what to do; on the console, and after the reset on the display."""
    with structlog.testing.capture_logs() as logs:
        await camera.press()
        await ears.hears("shutter")
        await camera.say("card out")
        await camera.press()
        await ears.hears_presence(b"online", 2)
        await soon(lambda: "photos on flash" in ears.objects("status")[-1]["display"], "the display says so")
    lines = [entry.get("line", "") for entry in logs]
    assert any("card out, or broken: photos wait on flash; put it back" in line for line in lines)
    assert not [line for line in lines if "Traceback" in line or "hangs" in line]


async def test_a_card_that_dies_in_use_costs_no_photo(camera, ears, uploads, soon):
    """The photo goes to flash, and is announced at once; the chip starts anew and delivers it from there."""
    card = camera.folder / "card"
    shutil.rmtree(card)
    card.write_text("damaged")
    await ears.command("c1", "shutter")
    assert (await ears.hears("reply"))[0]["ok"]
    [manifest, *_] = await ears.hears("shutter")
    await ears.hears_presence(b"online", 2)
    frame = taken(camera)[0]
    await soon(lambda: arrived(uploads, manifest["photo"]) == frame, "it arrives")
    await ears.command("c2", "shutter")
    assert (await ears.hears("reply", 2))[1]["ok"], "the next one is kept on flash at once"
    assert ears.bodies("presence").count(b"online") == 2


async def test_a_reboot_waits_for_the_photos_under_way(camera, ears, uploads, soon):
    """Presses, and photos that were asked for just before it, are taken and delivered."""
    for number in range(4):
        await ears.command(f"c{number}", "shutter")
    await ears.command("c9", "reboot")
    replies = await ears.hears("reply", 5)
    assert {one["command"]: one["ok"] for one in replies} == {f"c{number}": True for number in (0, 1, 2, 3, 9)}
    await ears.hears_presence(b"online", 2)
    await soon(lambda: len(list(uploads.iterdir())) == 4 and not waiting(camera), "all are delivered")
    assert len(taken(camera)) == 4
