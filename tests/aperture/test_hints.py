import asyncio
import threading
import time

from aperture.hints import Hints


async def test_a_hint_wakes_everyone_from_any_thread():
    hints = Hints()
    with hints.listen() as one, hints.listen() as two:
        waiting = [asyncio.create_task(listener.wait(5)) for listener in (one, two)]
        await asyncio.sleep(0)
        began = time.monotonic()
        threading.Thread(target=hints.wake).start()
        await asyncio.gather(*waiting)
        assert time.monotonic() - began < 1


async def test_a_hint_that_comes_while_its_listener_is_busy_is_remembered():
    """And once only: the next wait waits."""
    hints = Hints()
    with hints.listen() as listener:
        hints.wake()
        hints.wake()
        await asyncio.sleep(0.01)
        assert await listener.wait(5) is True
        assert await listener.wait(0.01) is False


async def test_without_a_hint_the_time_ends_the_wait():
    with Hints().listen() as listener:
        began = time.monotonic()
        assert await listener.wait(0.05) is False
        assert 0.04 < time.monotonic() - began < 1


async def test_who_leaves_is_forgotten():
    hints = Hints()
    with hints.listen():
        assert len(hints._waiting) == 1
    assert not hints._waiting


def test_hinting_nobody_is_no_error():
    """Before anyone listened, and after the loop of those who did is closed: a thread that stores a photo never fails."""
    hints = Hints()
    hints.wake()

    async def listen() -> None:
        with hints.listen() as listener:
            await listener.wait(0)

    asyncio.run(listen())
    hints.wake()
