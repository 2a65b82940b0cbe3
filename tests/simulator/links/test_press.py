"""The press never waits: not for DNS, nor for a connect, nor for a handshake; and its bytes leave at once."""

import asyncio
import contextlib
import hashlib
import json
import socket
import time
from pathlib import Path
from statistics import median

import pytest

from aperture.contract.ids import new_photo_id
from simulator.link import DATA, Cut, How, Link, Quality

PRESSES = 12
ONE_WAY_MS = 100
SLACK_MS = 150  # less than one round trip: without what is done at the press it would be two more
MANY = 2_000
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


async def frame_ms(camera, count, already=0):
    """Press so many times, and once before; return how long each took until the sensor was asked for its frame.

    By the clock of this program: the firmware's own begins when it sees the press, which it can't while it is blocked;
    a chip would see it by interrupt, and be as late with the frame.
    """
    took = []
    for number in range(already + 1, already + count + 2):
        pressed = time.monotonic()
        await camera.press(held_ms=60)
        while len(list(camera.taken.glob("*.jpg"))) < number:
            assert time.monotonic() - pressed < 10, "no frame"
            await asyncio.sleep(0.002)
        took.append(round((time.monotonic() - pressed) * 1000))
        await asyncio.sleep(0.2)  # it is down for 60 ms, and up for as long
    return took


@pytest.fixture
async def quiet_ms(make_camera, ears, tmp_path):
    """How long it takes where there is nothing to wait for: no network at all."""
    camera = await make_camera(folder=tmp_path / "quiet")
    await ears.hears_presence(b"online")
    await camera.say("wifi down")
    await ears.hears_presence(b"offline")
    took = await frame_ms(camera, PRESSES)
    await camera.stop()
    return took


async def bytes_flow_ms(link, before, since):
    """Return when the first byte has come through the link, in ms since then."""
    while link.bytes_up[DATA] == before:  # noqa: ASYNC110 - the link counts, and tells nobody
        await asyncio.sleep(0.001)
    return round((time.monotonic() - since) * 1000)


def check(quiet_ms, took):
    """Compare all presses but the first, which may have come while it was booting."""
    assert len(took) == PRESSES + 1
    assert max(took[1:]) < BOUND_MS, (took, quiet_ms)
    assert median(took[1:]) <= 2 * median(quiet_ms[1:]) + 30, (took, quiet_ms)


async def test_the_press_waits_for_no_name(quiet_ms, make_camera):
    """While the name of the server is asked for, and nobody answers."""
    servers = {part: {"host": "server.test", "port": 1} for part in ("mqtt", "ftp")}
    camera = await make_camera(secrets=servers)
    await camera.say("dns hang")
    started = time.monotonic()
    took = await frame_ms(camera, PRESSES)
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
        check(quiet_ms, await frame_ms(camera, PRESSES))


@pytest.fixture
async def slow_link(make_house):
    """Our FTP server behind 100 ms each way: a round trip is 200."""
    house = make_house()
    async with Link(ports={"ftp": house.port}, quality=Quality(delay_ms=ONE_WAY_MS)) as link:
        link.token = house.token
        yield link


async def flow_ms(camera, ears, link, waiting, soon):
    """Return (when the first byte was at the server, when the frame was there), in ms after a press; best of four."""
    took = []
    for _ in range(4):
        before, pressed, count = link.bytes_up[DATA], time.monotonic(), len(ears.bodies("shutter"))
        await camera.press()
        arrived_ms = await bytes_flow_ms(link, before, pressed)
        manifest = (await ears.hears("shutter", count + 1))[-1]
        took.append((arrived_ms, manifest["stage_ms"]["captured"]))
        await soon(lambda: not waiting(camera), "it is handed over")
    return min(took, key=lambda one: one[0] - one[1])


async def test_after_a_press_two_round_trips_pass_before_the_bytes_flow(make_camera, ears, slow_link, waiting, soon):
    """With a frame that is there at once: the two are EPSV and the connect, and what is said of the photo needs none."""
    camera = await make_camera(token=slow_link.token, ftp_port=slow_link.ports["ftp"])
    await ears.hears_presence(b"online")
    await soon(lambda: slow_link.connections["ftp"] == 1, "there is a session")
    await asyncio.sleep(2)  # a login is ten of its ways
    arrived_ms, frame_ms = await flow_ms(camera, ears, slow_link, waiting, soon)
    assert arrived_ms >= 5 * ONE_WAY_MS - 5, "the link is as slow as ordered"
    assert arrived_ms < 5 * ONE_WAY_MS + frame_ms + SLACK_MS, (arrived_ms, frame_ms)


async def test_a_frame_that_takes_its_time_hides_the_round_trips(make_camera, ears, slow_link, waiting, soon):
    """They pass while the sensor exposes: the first byte leaves with the photo's last on the card."""
    camera = await make_camera(token=slow_link.token, ftp_port=slow_link.ports["ftp"])
    await ears.hears_presence(b"online")
    await camera.say("exposure 400")
    await camera.kill()
    await camera.power_on()
    await ears.hears_presence(b"online", 2)
    await soon(lambda: slow_link.connections["ftp"] >= 2, "there is a session")
    await asyncio.sleep(2)
    arrived_ms, frame_ms = await flow_ms(camera, ears, slow_link, waiting, soon)
    assert frame_ms > 4 * ONE_WAY_MS, "long enough for both round trips"
    assert arrived_ms - frame_ms < ONE_WAY_MS + SLACK_MS, (arrived_ms, frame_ms)


async def test_the_press_waits_for_no_upload(quiet_ms, make_camera, make_house, ears, waiting, soon):
    """While an upload hangs in its middle: frames come as ever, wait on the card, and are all handed over later."""
    house = make_house()

    def hangs(kind, number):
        return Cut(at=1_000, how=How.SILENCE) if kind == DATA and number == 0 else None

    async with Link(ports={"ftp": house.port}, plan=hangs) as link:
        camera = await make_camera(token=house.token, ftp_port=link.ports["ftp"])
        await ears.hears_presence(b"online")
        await soon(lambda: link.connections["ftp"] == 1, "there is a session")
        await camera.press()
        await soon(lambda: link.bytes_up[DATA] >= 1_000, "its upload hangs")
        already = len(list(camera.taken.glob("*.jpg")))
        took = await frame_ms(camera, PRESSES, already)
        assert len(waiting(camera)) == already + len(took), "it hung all the while"
        check(quiet_ms, took)
        photos = [one["photo"] for one in await ears.hears("shutter", already + len(took))]
        offline = ears.bodies("presence").count(b"offline")
        await camera.say("wifi down")  # or it would hang until the server has had enough of it
        await ears.hears_presence(b"offline", offline + 1)
        await camera.say("wifi up")
        await soon(lambda: not waiting(camera), "all are handed over")
    assert sorted(map(house.stored, photos)) == sorted(one.read_bytes() for one in camera.taken.glob("*.jpg"))


def fill_card(folder, frame):
    """Leave `MANY` photos on a card that wait; a photo's number says where it lies."""
    facts = {"trigger": "button", "bytes": len(frame), "sha256": hashlib.sha256(frame).hexdigest()}
    for number in range(MANY):
        base = folder / f"{number // 32:06}" / f"{number % 32:02}"
        base.parent.mkdir(parents=True, exist_ok=True)
        base.with_suffix(".jpg").write_bytes(frame)
        base.with_suffix(".txt").write_text(json.dumps({**facts, "photo": new_photo_id(), "seq": number}))


async def test_two_thousand_photos_that_wait_hold_up_none(make_camera, make_house, ears, waiting, soon, tmp_path):
    """Neither the first press after power-on nor those later; a photo that the owner waits for goes before them all."""
    house = make_house()
    empty = await make_camera(folder=tmp_path / "empty", token=house.token, ftp_port=house.port)
    quiet_ms = await frame_ms(empty, PRESSES)
    await empty.stop()
    before = len(ears.bodies("shutter"))
    fill_card(tmp_path / "camera/card/photos", min(empty.taken.glob("*.jpg")).read_bytes())
    camera = await make_camera(token=house.token, ftp_port=house.port)
    took = await frame_ms(camera, PRESSES)
    check(quiet_ms, took)
    assert took[0] <= quiet_ms[0] + BOUND_MS, "the first was taken before they were looked through"
    live = [one["photo"] for one in await ears.hears("shutter", before + 1) if one["seq"] >= MANY]
    await soon(lambda: live and all(map(house.stored, live)), "those just taken are at the server")
    assert len(waiting(camera)) > MANY // 2, "the others still wait"
