"""kill -9 of the bridge, at the two moments that matter: what was handed over is posted, and a doubt is said so."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from simulator.discord.faults import Fault, FaultKind

STATUS = "aperture/server/status"


@asynccontextmanager
async def child_bridge(home) -> AsyncIterator[asyncio.subprocess.Process]:
    script = Path(__file__).with_name("child_bridge.py")
    args = [str(home.folder), str(home.broker.port), home.discord.webhook_url(), home.discord.api_base]
    with (home.folder / "child.log").open("a+b") as noise:
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(script), *args, stdout=asyncio.subprocess.PIPE, stderr=noise
        )
        try:
            async with asyncio.timeout(20):
                while (line := await child.stdout.readline()).strip() != b"ready":
                    assert line, noise.seek(0) or noise.read().decode()
            yield child
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            await asyncio.sleep(0)


async def test_killed_between_226_and_the_post(home, until) -> None:
    """Stored, and the bridge dies before Discord could be asked: the next one posts it, once, and without a doubt."""
    photo = home.archive.new_photo()
    async with child_bridge(home) as child:
        child.kill()
        await child.wait()
        home.archive.store(photo)
    async with child_bridge(home):
        await until(lambda: home.archive.record(photo).stages.posted, timeout_s=10)
    delivery = home.archive.delivery(photo)
    assert (home.discord.message_total, delivery.attempts, delivery.uncertain) == (1, 1, 0)


async def test_killed_while_discord_is_down(home, until) -> None:
    """A refused attempt, then kill -9: the photo waits in the rows, and is posted once when both are back."""
    photo = home.archive.new_photo()
    async with child_bridge(home) as child:
        await home.discord.go_down()
        home.archive.store(photo)
        await until(lambda: (d := home.archive.delivery(photo)) and d.attempts >= 1 and d.state == "waiting")
        child.kill()
        await child.wait()
    await home.discord.come_back()
    async with child_bridge(home):
        await until(lambda: home.archive.record(photo).stages.posted, timeout_s=10)
    assert home.discord.message_total == 1


async def test_killed_between_the_post_and_its_answer(home, until) -> None:
    """Nobody can know whether it was posted: it is sent again after a pause, and marked."""
    home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=60_000))
    photo = home.archive.new_photo()
    async with child_bridge(home) as child:
        home.archive.store(photo)
        await home.discord.wait_for_messages(1, timeout=10)
        assert home.archive.delivery(photo).state == "sending"
        child.kill()
        await child.wait()
    async with child_bridge(home):
        await until(lambda: home.archive.record(photo).stages.posted, timeout_s=10)
    delivery = home.archive.delivery(photo)
    assert (delivery.attempts, delivery.uncertain) == (2, 1)
    assert ["sent again" in json.dumps(message.payload) for message in home.discord.messages] == [False, True]


async def test_a_killed_bridges_last_will_says_offline(home, camera_on, until) -> None:
    """Who listens knows that nobody serves."""
    async with child_bridge(home) as child, camera_on() as camera:
        await until(lambda: camera.kept(STATUS))
        child.kill()
        await until(lambda: [b["status"] for at, b, _ in camera.heard if at == STATUS] == ["online", "offline"])
