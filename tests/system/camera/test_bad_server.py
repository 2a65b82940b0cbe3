"""Whatever becomes of the server while a camera hands over: no photo is lost, none is stored twice."""

import asyncio
import random
import subprocess

import psutil
import pytest

pytestmark = pytest.mark.timeout(180)
BROKERS = {"mosquitto", "nats-server"}


@pytest.fixture
def small_disk(tmp_path):
    """A data folder on a file system of 3 MB, where one can be mounted."""
    folder = tmp_path / "data"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs root and mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def restarts(rig, seed: int, rounds: int) -> None:
    """Press, and let the broker, or all of the server, die now and then; power cut included."""
    dice = random.Random(seed)
    one = await rig()
    photos = 0
    for number in range(rounds):
        for _ in range(2):
            await one.press()
            photos += 1
        await asyncio.sleep(dice.uniform(0, 0.1))
        if number % 2:
            await one.restart()
        else:
            [broker] = [child for child in one.up.children() if child.name() in BROKERS]
            broker.kill()
    await one.empty(600)
    one.kept_the_promise(photos)


async def test_broker_and_server_are_killed_while_photos_are_handed_over(rig):
    await restarts(rig, 1, 2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [500, 501])
async def test_restarts_in_the_soak(rig, seed):
    await restarts(rig, seed, 60)


async def test_a_full_server_says_so_and_takes_everything_once_there_is_room(small_disk, rig):
    """What it can't make durable it refuses; the camera keeps it, and tries again."""
    one = await rig()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    photos = 0
    while not one.heard("W photo put off"):
        await one.press()
        photos += 1
        await asyncio.sleep(0.1)
    assert one.camera.waiting >= 1
    ballast.unlink()
    await one.empty()
    one.kept_the_promise(photos)


async def test_a_server_that_hangs_is_waited_for(rig):
    """Stopped in the middle (SIGSTOP), it answers nothing: the press is taken all the same, and delivered later."""
    one = await rig()
    process = psutil.Process(one.up.process.pid)
    process.suspend()
    try:
        for _ in range(3):
            await one.press()
    finally:
        process.resume()
    await one.empty()
    one.kept_the_promise(3)
