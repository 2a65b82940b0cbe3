"""The virtual camera, end to end: what it promises is what the firmware promises."""

import asyncio
import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import structlog
from PIL import Image

from aperture.contract.messages import Manifest, Presence, Reply, Sleep, Status
from simulator.camera import Power, waiting_photos
from simulator.errors import FramesError


def arrived(uploads, photo):
    path = uploads / f"{photo}.jpg"
    return path.read_bytes() if path.exists() else b""


def taken(camera):
    return [path.read_bytes() for path in sorted(camera.taken.glob("*.jpg"))]


def waiting(camera):
    return waiting_photos(camera.folder / "card")


async def test_a_press_becomes_a_manifest_and_the_very_bytes_of_the_frame(camera, ears, uploads, soon):
    """What the sensor gave is what arrives, and what the manifest says; then nothing waits on the card."""
    await camera.press()
    manifest = Manifest.decode((await ears.hears("shutter")) and ears.bodies("shutter")[0])
    [frame] = taken(camera)
    assert manifest.trigger == "button"
    assert manifest.seq == 1
    assert manifest.sha256 == hashlib.sha256(frame).hexdigest()
    assert (manifest.bytes, manifest.width, manifest.height) == (len(frame), 800, 600)
    assert set(manifest.stage_ms) == {"captured", "queued"}
    await soon(lambda: arrived(uploads, manifest.photo) == frame, "the photo arrives")
    await soon(lambda: not waiting(camera), "nothing waits")
    assert len(list((camera.folder / "card" / "photos").glob("*/*.ok"))) == 1


async def test_what_it_says_fits_the_contract(camera, ears):
    """Presence, status and manifest decode on the server's side; times are whole numbers."""
    await camera.press()
    await ears.hears("shutter")
    status = [Status.decode(body) for body in ears.bodies("status")][-1]
    assert (status.board, status.sensor, status.firmware) == ("sim", "OV2640", "0.1.0")
    assert status.reset_cause == "power_on"
    assert (status.battery_mv, status.battery_pct, status.rssi_dbm) == (3912, 65, -58)
    assert status.display[0] == "cam"
    assert [Presence.decode(body) for body in ears.bodies("presence")] == [Presence.ONLINE]
    for body in ears.bodies("shutter") + ears.bodies("status"):
        assert not any(isinstance(value, float) for value in json.loads(body).values())


async def test_many_presses_are_as_many_photos(camera, ears, uploads, soon):
    """A press during an upload is queued, never refused; each is another picture."""
    for _ in range(6):
        await camera.press()
    manifests = await ears.hears("shutter", 6)
    assert [one["seq"] for one in manifests] == [1, 2, 3, 4, 5, 6]
    await soon(lambda: len(list(uploads.iterdir())) == 6, "six photos")
    await soon(lambda: not waiting(camera), "nothing waits")
    frames = taken(camera)
    assert len(set(frames)) == 6
    assert sorted(path.read_bytes() for path in uploads.iterdir()) == sorted(frames)


async def test_frames_from_a_folder_are_taken_by_name_over_and_over(make_camera, ears, uploads, tmp_path, soon):
    """They are handed on byte for byte, whatever their size."""
    frames = tmp_path / "frames"
    frames.mkdir()
    for name, shade in (("b.jpg", 200), ("a.JPG", 60)):
        Image.new("L", (320, 200), shade).save(frames / name, "JPEG")
    (frames / "notes.txt").write_text("no frame")
    camera = await make_camera(frames=frames)
    for count in (1, 2, 3):
        await camera.press()
        manifests = await ears.hears("shutter", count)
    a, b = (frames / "a.JPG").read_bytes(), (frames / "b.jpg").read_bytes()
    assert taken(camera) == [a, b, a]
    assert {(one["width"], one["height"]) for one in manifests} == {(320, 200)}
    await soon(lambda: [arrived(uploads, one["photo"]) for one in manifests] == [a, b, a], "all arrive")


async def test_after_a_broker_restart_presence_and_unacked_manifests_come_back(camera, ears, broker):
    """A broker that lost its retained messages has them again; a manifest is said until it is acked."""
    ears.acks = False
    await camera.press()
    [first] = await ears.hears("shutter")
    await broker.stop()
    ears.acks = True
    await broker.start()
    await ears.hears_presence(b"online", 2)
    again = (await ears.hears("shutter", 2))[-1]
    assert again["photo"] == first["photo"]
    assert len(await ears.hears("status", 2)) >= 2


async def test_without_ftp_a_photo_waits_and_is_delivered_later(camera, ears, ftp, uploads, soon):
    """The press is answered by a manifest at once; the bytes follow when there is a server again."""
    await ftp.stop()
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert len(waiting(camera)) == 1
    assert not list(uploads.iterdir())
    await ftp.start()
    await soon(lambda: arrived(uploads, manifest["photo"]) == taken(camera)[0], "it arrives")
    await soon(lambda: not waiting(camera), "nothing waits")


async def test_a_power_cut_loses_no_photo(camera, ears, ftp, uploads, soon):
    """Photos on the card outlive it; their numbers go on, and without a clock nobody guesses their age."""
    await ftp.stop()
    ears.acks = False
    await camera.press()
    await ears.hears("shutter")
    await camera.press()
    first, second = await ears.hears("shutter", 2)
    await camera.kill()
    assert camera.power is Power.OFF
    torn = camera.folder / "card" / "photos" / "000000" / "03.jpg"
    torn.write_bytes(taken(camera)[0][:1000])
    await ears.hears_presence(b"offline")
    await ftp.start()
    ears.heard.clear()
    ears.acks = True
    await camera.power_on()
    again = await ears.hears("shutter", 2)
    assert {one["photo"] for one in again} == {first["photo"], second["photo"]}
    assert not any("age_ms" in one for one in again)
    frames = taken(camera)
    await soon(lambda: [arrived(uploads, one["photo"]) for one in (first, second)] == frames, "both arrive")
    await soon(lambda: not waiting(camera), "nothing waits")
    assert not torn.exists()
    await camera.press()
    assert (await ears.hears("shutter", 3))[-1]["seq"] == 4, "no number is given twice"


async def test_a_power_cut_in_the_middle_of_it_all_loses_nothing_announced(camera, ears, uploads, soon):
    """Whenever the power goes, what was announced is delivered in the end, whole."""
    announced = {}
    for round_number in range(4):
        for _ in range(3):
            await camera.press()
        await ears.hears("shutter", len(ears.bodies("shutter")) + 1 + round_number % 3)
        await camera.kill()
        announced.update({one["photo"]: one["sha256"] for one in ears.objects("shutter")})
        await camera.power_on()

    def whole(photo, digest):
        return hashlib.sha256(arrived(uploads, photo)).hexdigest() == digest

    await soon(lambda: all(whole(*one) for one in announced.items()), "all are delivered")
    await soon(lambda: not waiting(camera), "nothing waits")


async def test_a_shutter_command_is_one_photo_however_often_it_comes(camera, ears):
    """The manifest names it, the reply comes when the photo is taken, and a duplicate is only answered."""
    await ears.command("c1", "shutter")
    assert Reply.decode((await ears.hears("reply")) and ears.bodies("reply")[0]).ok
    await ears.command("c1", "shutter")
    await ears.hears("reply", 2)
    [manifest] = ears.objects("shutter")
    assert (manifest["trigger"], manifest["command"]) == ("command", "c1")
    assert len(taken(camera)) == 1


async def test_settings_hold_over_a_reboot(camera, ears):
    """A reboot is answered before it is done, and is done once."""
    await ears.command("c1", "configure", frame_size="VGA", quality=40)
    await ears.command("c2", "reboot")
    assert all(one["ok"] for one in await ears.hears("reply", 2))
    await ears.hears_presence(b"online", 2)
    assert ears.objects("status")[-1]["reset_cause"] == "soft"
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert (manifest["width"], manifest["height"]) == (640, 480)
    assert "taken_at_ms" in manifest, "the clock runs on through a reset"
    await ears.command("c2", "reboot")
    await ears.command("c3", "identify")
    assert (await ears.hears("reply", 4))[-1]["command"] == "c3"
    assert ears.bodies("presence") == [b"online", b"offline", b"online"]


async def test_sleep_is_a_handshake_and_a_press_wakes(camera, ears, soon):
    """Intent, leave, going, asleep, no last will; the press that wakes it is a photo, and the clock has run on."""
    await ears.command("c1", "sleep", next_wake_ms=0)
    intent = Sleep.decode((await ears.hears("sleep")) and ears.bodies("sleep")[0])
    assert (intent.phase, intent.reason, intent.queue) == ("intent", "command", 0)
    await ears.say("ack", sleep_ok=True, nonce=intent.nonce)
    going = Sleep.decode((await ears.hears("sleep", 2)) and ears.bodies("sleep")[1])
    assert (going.phase, going.nonce) == ("going", intent.nonce)
    await ears.hears_presence(b"asleep")
    await soon(lambda: camera.power is Power.ASLEEP, "it sleeps")
    assert b"offline" not in ears.bodies("presence")
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert manifest["trigger"] == "button"
    assert "taken_at_ms" in manifest
    assert ears.objects("status")[-1]["reset_cause"] == "deepsleep"


async def test_after_a_wake_by_the_shutter_the_frame_comes_before_the_radio(camera, ears, soon):
    """To start Wi-Fi takes an ESP32 long: the moment would be over."""
    await ears.command("c1", "sleep", next_wake_ms=0)
    await ears.say("ack", sleep_ok=True, nonce=(await ears.hears("sleep"))[0]["nonce"])
    await soon(lambda: camera.power is Power.ASLEEP, "it sleeps")
    with structlog.testing.capture_logs() as logs:
        await camera.press()
        await ears.hears("shutter")
    lines = [entry.get("line", "") for entry in logs]
    taken, radio = (
        next(at for at, line in enumerate(lines) if line.startswith(what)) for what in ("photo taken", "wifi up")
    )
    assert taken < radio
    told = ears.objects("status")[-1]
    assert (told["reset_cause"], told["wake_reason"]) == ("deepsleep", "press")


async def test_a_timer_wakes_it_and_what_waited_is_done_before_it_sleeps_again(camera, ears):
    """Nobody presses: it comes online by itself, asks for what waits, acts on it, and goes back to sleep."""
    await ears.command("c1", "sleep", next_wake_ms=300)
    [intent] = await ears.hears("sleep")
    assert intent["next_wake_ms"] == 300
    await ears.say("ack", sleep_ok=True, nonce=intent["nonce"])
    _, _, again = await ears.hears("sleep", 3)
    assert (again["phase"], again["reason"]) == ("intent", "idle")
    await ears.command("c2", "shutter")
    await ears.say("ack", sleep_ok=True, nonce=again["nonce"])
    going = (await ears.hears("sleep", 4))[3]
    [manifest] = ears.objects("shutter")
    assert (manifest["command"], going["phase"]) == ("c2", "going"), "the photo was announced before it left"
    assert {"command": "c2", "ok": True} in ears.objects("reply")


async def test_light_sleep_ends_with_a_photo_and_without_a_boot(camera, ears, soon):
    """The same good-bye as before deep sleep; after a press the same run goes on."""
    await ears.command("c1", "configure", light_sleep=True, idle_timeout_ms=3_000)
    await ears.hears("reply")
    await ears.say("ack", sleep_ok=True, nonce=(await ears.hears("sleep"))[0]["nonce"])
    await ears.hears_presence(b"asleep")
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert manifest["trigger"] == "button"
    await ears.hears_presence(b"online", 2)
    assert b"offline" not in ears.bodies("presence")
    assert ears.objects("status")[-1]["reset_cause"] == "power_on", "it is the same run"


async def test_an_empty_battery_is_told_and_ends_the_day(camera, ears, soon):
    """Presence and reason say why it is gone; it does not wait to be asked."""
    await camera.say("battery 3000")
    [intent] = await ears.hears("sleep")
    assert (intent["phase"], intent["reason"]) == ("intent", "battery")
    await ears.say("ack", sleep_ok=True, nonce=intent["nonce"])
    await ears.hears_presence(b"asleep")
    await soon(lambda: camera.power is Power.ASLEEP, "it sleeps")


async def test_photos_taken_without_wifi_come_when_it_is_back(camera, ears, uploads, soon):
    """The press never waits for the network."""
    await camera.say("wifi down")
    await ears.hears_presence(b"offline")
    await camera.press()
    await soon(lambda: len(waiting(camera)) == 1, "it is on the card")
    assert not ears.bodies("shutter")
    await camera.say("wifi up")
    [manifest] = await ears.hears("shutter")
    await soon(lambda: arrived(uploads, manifest["photo"]) == taken(camera)[0], "it arrives")


async def test_out_of_reach_nothing_passes_from_that_moment_on(camera, ears, uploads, soon):
    """Also before the firmware has noticed: a press right after it stays on the card."""
    lines = []
    camera.listen(lines.append)
    await camera.say("wifi down")
    await camera.press()
    await soon(lambda: any(line.startswith("W wifi down") for line in lines), "it notices")
    await soon(lambda: len(waiting(camera)) == 1, "it is on the card")
    assert not any(line.startswith("photo delivered") for line in lines)
    assert not ears.bodies("shutter")
    await camera.say("wifi up")
    [manifest] = await ears.hears("shutter")
    await soon(lambda: arrived(uploads, manifest["photo"]) == taken(camera)[0], "it arrives")


async def test_what_was_done_to_its_surroundings_outlasts_a_reset(camera, ears, soon):
    """A network that is out of reach stays so over a power cut, and a battery keeps its voltage from the first look."""
    await camera.say("wifi down")
    await ears.hears_presence(b"offline")
    await camera.kill()
    await camera.say("battery 3700")
    await camera.power_on()
    await camera.press()
    await soon(lambda: len(waiting(camera)) == 1, "it runs")
    assert ears.bodies("presence") == [b"online", b"offline"]
    await camera.kill()
    ears.heard.clear()
    await camera.say("wifi up")
    await camera.power_on()
    await ears.hears_presence(b"online")
    assert (await ears.hears("status"))[0]["battery_mv"] == 3700


async def test_a_resend_brings_the_bytes_again(camera, ears, uploads, soon):
    """Also of a photo that was handed over long ago."""
    await camera.press()
    [manifest] = await ears.hears("shutter")
    frame = taken(camera)[0]
    await soon(lambda: arrived(uploads, manifest["photo"]) == frame and not waiting(camera), "handed over")
    (uploads / f"{manifest['photo']}.jpg").unlink()
    await ears.say("ack", photo=manifest["photo"], state="resend")
    await soon(lambda: arrived(uploads, manifest["photo"]) == frame, "it arrives again")


async def test_its_display_is_kept_as_a_picture(make_camera, ears, tmp_path, soon):
    """The OLED's 1,024 bytes, four times as large, and new when they change."""
    path = tmp_path / "oled.png"
    camera = await make_camera(oled_png=path)
    await ears.hears_presence(b"online")
    await soon(path.exists, "there is a picture")
    before = path.read_bytes()
    with Image.open(path) as image:
        assert image.size == (512, 256)
        assert image.getextrema() == (0, 255)
    await camera.press()
    await soon(lambda: path.read_bytes() != before, "the picture changes")


async def test_its_secrets_are_nobody_elses_business_and_its_flash_is_its_own(camera, ears):
    """The token lies in a file of mode 0600, and the firmware's files are copies."""
    secrets = camera.folder / "flash" / "secrets.json"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert json.loads(secrets.read_text())["token"] == "secret"
    assert not any(b"secret" in body for _, body, _ in ears.heard)
    assert (camera.folder / "flash" / "main.py").is_file()


async def test_a_size_that_the_sensor_has_not_costs_no_photo(camera, ears):
    """It is refused, and the camera goes on as it was."""
    await ears.command("c1", "configure", frame_size="QSXGA")
    assert (await ears.hears("reply"))[0]["error"] == "bad_settings"
    await ears.command("c2", "configure", frame_size="UXGA")
    assert (await ears.hears("reply", 2))[1]["ok"]
    await camera.press()
    [manifest] = await ears.hears("shutter")
    assert (manifest["width"], manifest["height"]) == (1600, 1200)


async def test_an_empty_folder_of_frames_is_told(make_camera, tmp_path):
    """Before anything runs."""
    (tmp_path / "frames").mkdir()
    with pytest.raises(FramesError, match="holds no"):
        await make_camera(frames=tmp_path / "frames")


async def test_when_its_program_is_gone_the_camera_goes_too(cache, broker, ftp, tmp_path, soon):
    """Nobody is left with stray processes, not even after a SIGKILL."""
    script = f"""
import asyncio
from pathlib import Path
from simulator.camera import VirtualCamera
async def main():
    async with VirtualCamera(name="cam", token="secret", host="127.0.0.1", mqtt_port={broker.port},
                             ftp_port={ftp.port}, folder=Path({str(tmp_path / "camera")!r}), cache=Path({str(cache)!r})):
        await asyncio.sleep(60)
asyncio.run(main())
"""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL
    )
    parent = psutil.Process(program.pid)
    await soon(lambda: bool(parent.children()), "the camera runs")
    [child] = parent.children()
    await soon((tmp_path / "camera" / "state" / "rtc.json").exists, "it is on")
    program.kill()
    await program.wait()
    await soon(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the camera goes")


async def test_a_camera_without_power_ignores_its_shutter(camera, ears):
    """And its numbers start where they were."""
    await camera.kill()
    await camera.press()
    await camera.kill()
    assert camera.power is Power.OFF
    await ears.hears_presence(b"offline")
    assert not ears.bodies("shutter")
