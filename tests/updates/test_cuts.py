"""Power cuts at random moments of an update, seeded: it ends one way or the other, and the camera works on."""

import asyncio
import random

import pytest

ENDS = {("done", None), ("failed", "rolled_back"), ("failed", "interrupted")}


async def _suffer(server, camera, make_bundle, *, seed, rounds):
    dice = random.Random(seed)
    outcomes = []
    for number in range(rounds):
        version = f"8.{seed}.{number}"
        make_bundle(version, compiled=dice.random() < 0.3)
        command = await server.ask(camera.name, bundle=version)
        for _ in range(dice.randint(1, 4)):
            await asyncio.sleep(dice.uniform(0, 1.2))
            if dice.random() < 0.3:
                await camera.press()
            await camera.kill()
            await camera.power_on()
        ended = await server.ended(command)
        outcomes.append((ended.state, ended.error))
        assert outcomes[-1] in ENDS, ended
        await camera.is_well()
        running = server.firmware(camera.name)
        assert (running == version) == (ended.state == "done")
    return outcomes


@pytest.mark.timeout(240)
async def test_power_cuts_at_random_moments(server, camera, make_bundle):
    """A few rounds; `make soak` has more."""
    await _suffer(server, camera, make_bundle, seed=1, rounds=4)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2, 8))
async def test_many_power_cuts_at_random_moments(server, camera, make_bundle, seed):
    """Most of them succeed all the same."""
    outcomes = await _suffer(server, camera, make_bundle, seed=seed, rounds=20)
    assert outcomes.count(("done", None)) >= 10, outcomes
