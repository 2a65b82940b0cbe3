"""What a camera's owner sees, from the press on: pictures of its OLED, and the same in words in its status."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from PIL import Image

from simulator.camera import Power
from simulator.link import Link, Quality
from simulator.screen import BYTES, picture

GOLDEN = Path(__file__).parents[1] / "firmware" / "screens"
BODY = (0, 16, 128, 64)
TITLE = (0, 16, 128, 41)
NOTES = (76, 16, 128, 48)
DARK = bytes(BYTES)
POSTED = [{"target": "discord:1", "state": "posted", "attempts": 1, "message_id": "7"}]


def part(pixels: bytes, box: tuple[int, int, int, int] | None = None) -> bytes:
    return picture(pixels).crop(box).convert("L").tobytes()


def golden(name: str, box: tuple[int, int, int, int] | None = None) -> bytes:
    with Image.open(GOLDEN / f"{name}.png") as image:
        return image.crop(box).convert("L").tobytes()


def negative(pixels: bytes) -> bytes:
    return bytes(octet ^ 0xFF for octet in pixels)


class Eyes:
    """Look at a camera's display all the time; `seen` are its pictures in order, each once in a row."""

    def __init__(self, camera):
        self.camera = camera
        self.seen: list[bytes] = []

    async def look(self):
        while True:
            if self.camera.pixels and self.camera.pixels != (self.seen or [b""])[-1]:
                self.seen.append(self.camera.pixels)
            await asyncio.sleep(0.002)

    def first(self, name, box=None):
        """Where a screen of the committed ones was seen first; -1: not at all."""
        wanted = golden(name, box)
        return next((at for at, pixels in enumerate(self.seen) if part(pixels, box) == wanted), -1)


@pytest.fixture
async def look():
    async with contextlib.AsyncExitStack() as stack:

        def start(camera):
            eyes = Eyes(camera)
            task = asyncio.create_task(eyes.look())
            stack.callback(task.cancel)
            return eyes

        yield start


@pytest.fixture
def large_frames(tmp_path):
    """A photo that takes a while to send."""
    frames = tmp_path / "frames"
    frames.mkdir()
    Image.effect_noise((640, 480), 90).save(frames / "noise.jpg", "JPEG", quality=92)
    return frames


def shows(camera, name, box=BODY):
    return bool(camera.pixels) and part(camera.pixels, box) == golden(name, box)


def says(ears, *words):
    """Whether a status told of a display with all these lines."""
    return any(set(words) <= set(one["display"] or ()) for one in ears.objects("status"))


async def test_a_press_can_be_followed_to_discord(make_camera, ears, ftp, uploads, large_frames, look, soon):
    """Ready, its negative at once, the flash, the upload with its progress, stored, in Discord, ready; also in words."""
    async with Link(ports={"ftp": ftp.port}, quality=Quality(bits_per_s=600_000)) as slow:
        camera = await make_camera(ftp_port=slow.ports["ftp"], frames=large_frames)
        await soon(lambda: shows(camera, "ready"), "it is ready")
        eyes = look(camera)
        ready = camera.pixels
        await camera.press()
        [manifest] = await ears.hears("shutter")
        await soon(lambda: says(ears, "uploading photo 1"), "its status tells of the upload")
        await soon((uploads / f"{manifest['photo']}.jpg").exists, "the photo is there")
        await soon(lambda: shows(camera, "stored", TITLE), "it is stored")
        await ears.say("photo", id="a" * 26, camera="cam", state="stored", origin="camera", deliveries=POSTED)
        await ears.say("photo", id=manifest["photo"], camera="cam", state="stored", origin="camera", deliveries=POSTED)
        await soon(lambda: shows(camera, "discord", TITLE), "it is in Discord")
        await soon(lambda: says(ears, "cam", "signal strong, battery 65%", "In Discord"), "its status says so")
        await soon(lambda: shows(camera, "ready"), "and ready again")
    order = [
        eyes.seen.index(negative(ready)),
        eyes.first("flash"),
        eyes.first("uploading-0", NOTES),
        eyes.first("stored", TITLE),
        eyes.first("discord", TITLE),
    ]
    assert order == sorted(order)
    assert order[0] == 1, "the negative comes first, before any pixel is sent"
    percents = [one["display"][3] for one in ears.objects("status") if "uploading photo 1" in one["display"]]
    assert percents == sorted(percents, key=lambda words: int(words[:-1]))


async def test_what_was_posted_before_is_no_news(make_camera, ears, look, soon):
    """The broker keeps the last photo's record: a camera that comes online is not told of a photo of yesterday."""
    await ears.say("photo", retained=True, id="b" * 26, camera="cam", state="stored", deliveries=POSTED)
    camera = await make_camera()
    eyes = look(camera)
    await soon(lambda: shows(camera, "ready"), "it is ready")
    await ears.hears("status", 2)
    assert eyes.first("discord", TITLE) == eyes.first("stored", TITLE) == -1


async def test_without_a_network_photos_are_counted_and_then_sent(camera, ears, look, soon):
    """How many are kept, and that they will be sent; then they are."""
    await camera.say("wifi down")
    await ears.hears_presence(b"offline")
    await camera.press()
    await soon(lambda: shows(camera, "queued-1"), "one photo")
    for _ in range(2):
        await camera.press()
    await soon(lambda: shows(camera, "queued"), "three photos, and why")
    eyes = look(camera)
    await camera.say("wifi up")
    await ears.hears("shutter", 3)
    await soon(lambda: shows(camera, "ready"), "all are sent")
    assert eyes.first("stored", TITLE) > 0


async def test_a_wrong_password_is_said_in_words_with_what_to_do(camera, ears, soon):
    """And a press is a photo all the same."""
    await camera.say("wifi wrong-password")
    await ears.hears_presence(b"offline")
    await soon(lambda: shows(camera, "error", (0, 16, 70, 64)), "it says: Wi-Fi password, check secrets")
    for _ in range(3):
        await camera.press()
    await soon(lambda: shows(camera, "error"), "three photos wait")
    await camera.say("wifi up")
    await ears.hears("shutter", 3)
    await soon(lambda: shows(camera, "ready"), "all are sent")


async def test_before_it_sleeps_it_says_so_then_it_is_dark_and_a_press_flashes(camera, ears, look, soon):
    """Asleep, the picture of the flash lies in the panel's memory: it is seen before the camera has booted."""
    await soon(lambda: shows(camera, "ready"), "it is ready")
    eyes = look(camera)
    await ears.command("c1", "sleep", next_wake_ms=0)
    [intent] = await ears.hears("sleep")
    await ears.say("ack", sleep_ok=True, nonce=intent["nonce"])
    await soon(lambda: camera.power is Power.ASLEEP, "it sleeps")
    assert eyes.first("sleeping", BODY) > 0
    assert camera.pixels == DARK
    await camera.press()
    await ears.hears("shutter")
    await soon(lambda: eyes.first("flash") > 0, "it flashes")
    await soon(lambda: shows(camera, "ready"), "it is ready")


async def test_identify_shows_its_name_and_blinks(camera, ears, look, soon):
    """Large, for who stands before several of them."""
    eyes = look(camera)
    await ears.command("c1", "identify")
    name = golden("identify-short")
    await soon(lambda: part(camera.pixels) == name, "its name")
    await soon(lambda: part(negative(camera.pixels)) == name, "and its negative")
    await soon(lambda: shows(camera, "ready"), "it is ready again")
    assert sum(part(pixels) == name for pixels in eyes.seen) >= 3
