"""The press never waits: not for DNS, nor for a connect, nor for a handshake; and its bytes leave at once."""

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path
from statistics import median

import pytest

from simulator.link import DATA, Link, Quality

PRESSES = 12
BOUND_MS = 400  # a wait for the network would show as seconds: nothing here answers within ten


class Silent:
    """Takes connections and says nothing. With `full`, it takes none: their first packet is never answered."""

    def __init__(self, *, full=False):
        self._full, self._fillers = full, []

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=0 if self._full else 64)
        self.port = self._socket.getsockname()[1]
        while self._full and len(self._fillers) < 16:
            one = socket.socket()
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(("127.0.0.1", self.port))
            self._fillers.append(one)
        return self

    def __exit__(self, *_):
        for one in (self._socket, *self._fillers):
            one.close()

    def came(self):
        """Whether someone has come, or tries to."""
        lines = Path("/proc/net/tcp").read_text().splitlines()
        tries = [line for line in lines if line.split()[2].endswith(f":{self.port:04X}")]
        return len(tries) > len(self._fillers)


async def captured_ms(camera, count, soon):
    """Press so many times, one soon after the other, and return how long each took to its frame, sorted."""

    def kept():
        return set((camera.folder / "card" / "photos").glob("*/*.txt"))

    known = kept()
    for number in range(count):
        await camera.press(held_ms=60)
        await soon(lambda number=number: len(kept() - known) > number, "it is on the card")
        await asyncio.sleep(0.1)
    took = [json.loads(path.read_text())["stage_ms"]["captured"] for path in kept() - known]
    return sorted(took)


@pytest.fixture
async def quiet_ms(make_camera, ears, soon):
    """How long it takes where there is nothing to wait for: no network at all."""
    camera = await make_camera()
    await ears.hears_presence(b"online")
    await camera.say("wifi down")
    await ears.hears_presence(b"offline")
    took = await captured_ms(camera, PRESSES, soon)
    await camera.stop()
    return took


async def bytes_flow_ms(link, before, since):
    """Return when the first byte has come through the link, in ms since then."""
    while link.bytes_up[DATA] == before:  # noqa: ASYNC110 - the link counts, and tells nobody
        await asyncio.sleep(0.001)
    return round((time.monotonic() - since) * 1000)


def check(quiet_ms, took):
    assert len(took) == PRESSES
    assert took[-1] < BOUND_MS, (took, quiet_ms)
    assert median(took) <= 2 * median(quiet_ms) + 30, (took, quiet_ms)


async def test_the_press_waits_for_no_name(quiet_ms, make_camera, soon):
    """While the name of the server is asked for, and nobody answers."""
    servers = {part: {"host": "server.test", "port": 1} for part in ("mqtt", "ftp")}
    camera = await make_camera(secrets=servers)
    await camera.say("dns hang")
    started = time.monotonic()
    took = await captured_ms(camera, PRESSES, soon)
    check(quiet_ms, took)
    assert time.monotonic() - started > 1, "long enough for the name to be asked for several times"


@pytest.mark.parametrize(
    ("full", "tls"), [(True, False), (False, False), (False, True)], ids=["connect", "hello", "TLS"]
)
async def test_the_press_waits_for_no_server(quiet_ms, make_camera, certificate, full, tls, soon):
    """While a TCP connect hangs, or a server that accepted says nothing, before TLS or under it."""
    with Silent(full=full) as mqtt, Silent(full=full) as ftp:
        ca = certificate.ca_der if tls else None
        camera = await make_camera(mqtt_port=mqtt.port, ftp_port=ftp.port, ca=ca)
        await soon(lambda: mqtt.came() and ftp.came(), "it tries both")
        check(quiet_ms, await captured_ms(camera, PRESSES, soon))


async def test_after_a_press_two_round_trips_pass_before_the_bytes_flow(make_camera, ears, make_house, waiting, soon):
    """One way is 100 ms, so a round trip is 200. The first byte is at the server after two of them, and its own way.

    The data connection is made while frame and card take their time: that is where the two go. What is said of the
    photo and the photo itself need none.
    """
    house = make_house()
    async with Link(ports={"ftp": house.port}) as link:
        camera = await make_camera(token=house.token, ftp_port=link.ports["ftp"])
        await ears.hears_presence(b"online")
        await camera.press()
        await ears.hears("shutter")
        await soon(lambda: not waiting(camera), "the first is handed over")
        link.quality = Quality(delay_ms=100)
        took = []
        for count in (2, 3, 4):
            before, pressed = link.bytes_up[DATA], time.monotonic()
            await camera.press()
            took.append(await bytes_flow_ms(link, before, pressed))
            await ears.hears("shutter", count)
            await soon(lambda: not waiting(camera), "it is handed over")
        captured = max(one["stage_ms"]["captured"] for one in ears.objects("shutter"))
        assert min(took) >= 495, "the link is as slow as ordered"
        assert min(took) < 2 * 200 + 100 + captured + 60, (took, captured)
