"""The sensor of a virtual camera, end to end: what is asked of it, what it can't do, and what becomes of bad frames."""

import hashlib
import io

import pytest
from PIL import Image, ImageStat

from aperture.contract.messages import Manifest, Status


async def restart(camera, ears):
    """Switch it off and on: the sensor starts with what was said to it."""
    online = ears.bodies("presence").count(b"online")
    await camera.kill()
    await camera.power_on()
    await ears.hears_presence(b"online", online + 1)


def numbers(camera):
    """Return the number of each frame that is kept, by its hash."""
    paths = camera.taken.glob("*.jpg")
    return {hashlib.sha256(path.read_bytes()).hexdigest(): int(path.stem) for path in paths}


async def statuses(ears, soon, fits):
    """Wait for a status that fits, and return it."""
    await soon(lambda: ears.bodies("status") and fits(Status.decode(ears.bodies("status")[-1])), "such a status")
    return Status.decode(ears.bodies("status")[-1])


async def test_no_photo_was_exposed_before_its_press(camera, ears):
    """With the driver's two buffers, one complete and one half full: neither is the photo, however often one presses."""
    await camera.say("exposure 60")
    await restart(camera, ears)
    for count in range(1, 5):
        before = max(numbers(camera).values(), default=0)
        await camera.press()
        manifest = (await ears.hears("shutter", count))[-1]
        assert numbers(camera)[manifest["sha256"]] > before


async def test_frames_without_their_end_are_never_a_photo(camera, ears):
    """They are fetched again, and nobody hears of it."""
    await ears.hears_presence(b"online")
    await camera.say("frames truncated 6")
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert manifest["sha256"] in numbers(camera)
    assert "labels" not in manifest
    assert len(numbers(camera)) == 1
    assert len(list((camera.taken / "spoilt").glob("*.jpg"))) == 6, "they are told from those that can be a photo"


async def test_a_black_frame_is_tried_again_and_one_that_stays_black_says_so(camera, ears):
    """Bounded, then kept: it may be night."""
    await ears.hears_presence(b"online")
    await camera.say("frames black 4")
    await camera.press()
    await ears.hears("shutter")
    await camera.say("frames black 30")
    await camera.press()
    first, second = await ears.hears("shutter", 2)
    assert "labels" not in first
    assert Manifest.decode(ears.bodies("shutter")[-1]).labels == ["black"]
    assert second["width"] == 800


async def test_a_sensor_that_is_stuck_is_told_by_its_frames(camera, ears):
    """The same scan as the photo before: it is kept, with a label."""
    await camera.press()
    await ears.hears("shutter")
    await camera.say("frames same 30")
    await camera.press()
    first, second = await ears.hears("shutter", 2)
    assert second["sha256"] == first["sha256"]
    assert second["labels"] == ["same"]


@pytest.mark.parametrize(
    ("sensor", "size", "pixels"), [("OV3660", "QXGA", (2048, 1536)), ("OV5640", "HD", (1280, 720))]
)
async def test_a_sensor_is_known_by_its_name_and_used_to_its_limits(camera, ears, soon, sensor, size, pixels):
    """What it can do is done, and what it can't is refused in words before anything is changed."""
    await camera.say(f"sensor {sensor}")
    await restart(camera, ears)
    await ears.command("c1", "configure", frame_size=size, brightness=3)
    await ears.command("c2", "configure", frame_size=size, brightness=4)
    await ears.hears("reply", 2)
    good, bad = ears.objects("reply")
    assert good["ok"]
    assert (bad["error"], bad["detail"]) == ("bad_settings", f"brightness: a whole number from -3 to 3 ({sensor})")
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert (manifest["width"], manifest["height"]) == pixels
    status = await statuses(ears, soon, lambda one: one.settings["frame_size"] == size)
    assert (status.sensor, status.settings["brightness"]) == (sensor, 3)


async def test_without_a_sensor_a_press_fails_in_words_and_all_else_goes_on(camera, ears):
    """It is looked for again at each press."""
    await camera.say("sensor none")
    await restart(camera, ears)
    await ears.command("c1", "shutter")
    [reply] = await ears.hears("reply")
    assert (reply["error"], "camera does not start" in reply["detail"]) == ("no_photo", True)
    assert ears.objects("status")[-1]["sensor"] is None
    await camera.say("sensor OV2640")
    await ears.command("c2", "shutter")
    assert (await ears.hears("reply", 2))[-1]["ok"]


async def test_settings_are_reported_as_they_are_in_force_and_hold(camera, ears, soon):
    """All that `configure` can change is in each status, after a reboot as well."""
    before = await statuses(ears, soon, lambda one: one.settings is not None)
    assert (before.settings["quality"], before.settings["vflip"], before.battery_mah) == (85, False, 1000)
    wanted = {"quality": 60, "vflip": True, "effect": "sepia", "battery_mah": 1200, "status_every_ms": 5000}
    await ears.command("c1", "configure", **wanted)
    status = await statuses(ears, soon, lambda one: one.settings["quality"] == 60)
    assert status.settings == {**before.settings, **wanted}
    assert status.battery_mah == 1200
    await restart(camera, ears)
    again = await statuses(ears, soon, lambda one: one.uptime_ms < status.uptime_ms)
    assert again.settings == status.settings


async def test_the_picture_is_turned_as_the_settings_say(make_camera, ears, uploads, soon, tmp_path):
    """Bright above and dark below becomes dark above and bright below."""
    frames = tmp_path / "frames"
    frames.mkdir()
    for shade in (200, 210):
        image = Image.new("L", (320, 240), shade)
        image.paste(60, (0, 120, 320, 240))
        image.save(frames / f"{shade}.jpg", "JPEG")
    camera = await make_camera(frames=frames)
    await camera.press()
    await ears.hears("shutter")
    await ears.command("c1", "configure", vflip=True)
    await ears.hears("reply")
    await camera.press()
    manifests = await ears.hears("shutter", 2)

    def upper(photo):
        with Image.open(io.BytesIO((uploads / f"{photo}.jpg").read_bytes())) as image:
            return ImageStat.Stat(image.convert("L").crop((0, 0, 320, 100))).mean[0]

    await soon(lambda: len(list(uploads.iterdir())) == 2, "both are there")
    assert upper(manifests[0]["photo"]) > 190
    assert upper(manifests[1]["photo"]) < 70


async def test_what_a_photo_costs_is_told_once_one_was_delivered(camera, ears, soon):
    """So that the server can say how many are left; before, nobody guesses."""
    assert (await statuses(ears, soon, lambda one: one.uptime_ms is not None)).shot_uah is None
    await camera.press()
    status = await statuses(ears, soon, lambda one: one.shot_uah is not None)
    assert 1 <= status.shot_uah < 1000


async def test_on_usb_an_empty_battery_is_none(camera, ears, soon):
    """It charges: there is no reason to sleep, nor to refuse a photo."""
    await camera.say("usb on")
    await camera.say("battery 3000")
    await restart(camera, ears)
    status = await statuses(ears, soon, lambda one: one.battery_mv == 3000)
    assert status.battery_pct == 0
    await camera.press()
    await ears.hears("shutter")
    assert not ears.bodies("sleep")
