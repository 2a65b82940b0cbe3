"""The air between two network namespaces: rate, delay, loss and cuts, as TCP itself meets them."""

import asyncio
import subprocess
import sys

import pytest

from simulator.errors import NotAvailableError
from simulator.radio import Radio, why_not

BODY_BYTES = 100_000
CLIENT = """
import socket, sys, time
started = time.monotonic()
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20) as link:
    print((time.monotonic() - started) * 1000)
    link.sendall(b"x" * int(sys.argv[3]))
    link.shutdown(socket.SHUT_WR)
    assert link.recv(99) == sys.argv[3].encode()
print((time.monotonic() - started) * 1000)
"""


@pytest.fixture
def radio():
    """Return a function that turns a radio on; a machine that does not allow it skips the test."""
    made = []

    def make(**quality) -> Radio:
        if why_not():
            pytest.skip(f"the radio {why_not()}")
        one = Radio(**quality)
        try:
            one.__enter__()
        except NotAvailableError as error:
            pytest.skip(str(error))
        made.append(one)
        return one

    yield make
    for one in made:
        one.__exit__(None, None, None)


async def count(reader, writer):
    total = 0
    while piece := await reader.read(65536):
        total += len(piece)
    writer.write(b"%d" % total)
    writer.close()
    await writer.wait_closed()


async def times_ms(radio: Radio, size: int = BODY_BYTES) -> list[float]:
    """Connect and send from inside; return after how long each was done."""
    async with await asyncio.start_server(count, radio.server, 0) as server:
        port = server.sockets[0].getsockname()[1]
        child = await asyncio.create_subprocess_exec(
            *radio.enter, sys.executable, "-c", CLIENT, radio.server, str(port), str(size), stdout=subprocess.PIPE
        )
        out, _ = await child.communicate()
        assert child.returncode == 0
        return [float(line) for line in out.split()]


async def test_rate_and_delay_are_as_ordered(radio):
    """A connect is two delays; 100 KB at 8 Mbit/s are 100 ms and what headers take."""
    air = radio(bits_per_s=8_000_000, delay_ms=5)
    times = [await times_ms(air) for _ in range(3)]  # the machine may be busy: the best of them is the air's own
    connected, done = (min(column) for column in zip(*times, strict=True))
    assert 10 <= connected < 60
    assert 10 + 100 + 10 <= done < 400


async def test_what_is_lost_is_sent_again(radio):
    """TCP repairs a loss of one packet in twenty, and takes its time."""
    assert await times_ms(radio(loss=0.05, delay_ms=1, seed=5))


async def test_a_cut_stops_everything_and_a_heal_lets_it_go_on(radio):
    one = radio(delay_ms=1)
    one.cut()
    waiting = asyncio.create_task(times_ms(one, 1000))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    one.heal()
    connected, _ = await waiting
    assert connected > 200, "TCP asked again after a while"


def test_it_leaves_nothing_behind(radio):
    one = radio()
    listed = subprocess.run(["ip", "-brief", "address"], capture_output=True, text=True, check=True).stdout
    assert one.server in listed
    one.__exit__(None, None, None)
    listed = subprocess.run(["ip", "-brief", "address"], capture_output=True, text=True, check=True).stdout
    assert one.server not in listed
