"""A watchdog that bites: what hangs is reset, and costs no photo; what only waits is left alone."""

import asyncio


async def test_firmware_that_hangs_is_reset_and_its_photos_survive(camera, ears, ftp, uploads, waiting, pid_of, soon):
    """A part that takes the chip for itself: nothing else runs, so nobody feeds."""
    await ftp.stop()
    await camera.press()
    await ears.hears("shutter")
    await camera.say("watchdog 3000")
    await asyncio.sleep(1.5)  # it is fed meanwhile
    before = pid_of(camera)
    await camera.say("hang")
    await ears.hears_presence(b"online", 2)
    assert ears.objects("status")[-1]["reset_cause"] == "watchdog"
    assert pid_of(camera) != before
    await camera.press()
    await ears.hears("shutter", 2)
    await ftp.start()
    await soon(lambda: not waiting(camera), "both are handed over")
    taken = sorted(path.read_bytes() for path in camera.taken.glob("*.jpg"))
    assert sorted(path.read_bytes() for path in uploads.iterdir()) == taken
    assert len(taken) == 2


async def test_it_does_not_bite_a_camera_that_is_well(camera, ears, pid_of):
    """Idle, busy and without a network, for longer than it waits."""
    before = pid_of(camera)
    await camera.say("watchdog 3000")
    for line in ("wifi down", "wifi up"):
        await camera.press()
        await camera.say(line)
        await asyncio.sleep(2)
    assert pid_of(camera) == before


async def test_it_sleeps_with_the_chip(camera, ears, pid_of):
    """Light sleep stops its clock too, and nobody is late afterwards."""
    before = pid_of(camera)
    await camera.say("watchdog 2500")
    await ears.command("c1", "configure", light_sleep=True, idle_timeout_ms=1_000)
    await ears.hears("reply")
    await ears.say("ack", sleep_ok=True, nonce=(await ears.hears("sleep"))[0]["nonce"])
    await ears.hears_presence(b"asleep")
    await asyncio.sleep(4)
    await ears.command("c2", "configure", idle_timeout_ms=0)
    await camera.press()
    await ears.hears_presence(b"online", 2)
    await asyncio.sleep(3)
    assert pid_of(camera) == before
