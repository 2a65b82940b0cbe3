"""Whatever happens to a link, the camera comes back by itself: without a reset, and with every photo."""

import asyncio
import shutil
import subprocess
from functools import partial

import pytest

from simulator.link import How, Link

MOSQUITTO_PASSWD = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")

REFUSALS = {
    "greeting": ["421 too many connections"],
    "EPSV": ["425 no port left", "229 here (|||1|)", "229 nonsense"],  # nobody listens on port 1
    "ALLO": ["552 too large", "452 no room"],
    "STOR": ["451 the disk failed", "452 full", "421 leaving"],
    "END": ["426 cut", "451 hash differs", "552 over your share"],
    "NOOP": ["\x00\xff\xfe no FTP"],
}


def taken(camera):
    return sorted(path.read_bytes() for path in camera.taken.glob("*.jpg"))


@pytest.fixture
def config(tmp_path):
    """`config(line)` adds a line to the broker's configuration, and returns what sets cam's password there."""
    passwords = tmp_path / "passwords"

    def add(line):
        with (tmp_path / "mosquitto.conf").open("a") as file:
            file.write(f"{line.format(passwords=passwords)}\n")
        return set_password

    def set_password(word):
        if MOSQUITTO_PASSWD is None:
            pytest.skip("mosquitto_passwd is not installed: apt-get install mosquitto")
        passwords.touch(mode=0o600)
        subprocess.run([MOSQUITTO_PASSWD, "-b", passwords, "cam", word], check=True, capture_output=True)

    return add


@pytest.fixture
def delivered(uploads, waiting):
    """Whether so many photos have arrived, and none waits for an answer."""
    return lambda camera, count: len(list(uploads.iterdir())) == count and not waiting(camera)


@pytest.fixture
def unreset(pid_of):
    """Fails when a camera was reset between `unreset(camera)` and what it returns."""

    def watch(camera):
        before = pid_of(camera)
        return lambda: pid_of(camera) == before

    return watch


async def make_with(make_camera, ears, raw_ftp, **more):
    camera = await make_camera(ftp_port=raw_ftp.port, **more)
    await ears.hears_presence(b"online")
    return camera


@pytest.mark.timeout(180)
async def test_every_refusal_of_an_ftp_server_ends_in_recovery(make_camera, ears, raw_ftp, unreset, waiting, soon):
    """421, 425, 426, 451, 452, 552, a port where nobody is, and garbage: each once, and nothing is lost."""
    raw_ftp.instead.update({word: list(replies) for word, replies in REFUSALS.items()})
    camera = await make_with(make_camera, ears, raw_ftp)
    is_same = unreset(camera)
    for _ in range(8):
        await camera.press()
    await ears.hears("shutter", 8)
    raw_ftp.instead["NOOP"].clear()  # it comes once a minute: see the firmware's own cases
    await soon(lambda: not waiting(camera), "nothing waits", 100)  # one that was refused twice waits for a minute
    assert raw_ftp.is_quiet, raw_ftp.instead
    assert sorted(raw_ftp.photos.values()) == taken(camera)
    assert is_same()


async def test_a_full_server_is_waited_for(make_camera, ears, raw_ftp, unreset, waiting, soon):
    """Photos stay on the card for as long as there is no room, and others may be taken meanwhile."""
    raw_ftp.instead["STOR"] = ["452 no room"] * 3
    camera = await make_with(make_camera, ears, raw_ftp)
    is_same = unreset(camera)
    for count in (1, 2, 3):
        await camera.press()
        await ears.hears("shutter", count)
    await soon(lambda: raw_ftp.is_quiet, "each was refused")
    assert len(waiting(camera)) == 3
    assert raw_ftp.sessions == 1, "the session is good"
    await soon(lambda: not waiting(camera), "nothing waits")
    assert sorted(raw_ftp.photos.values()) == taken(camera)
    assert is_same()


async def test_an_access_point_that_reboots_and_one_that_gives_another_address(
    camera, ears, uploads, unreset, delivered, soon
):
    """What was connected is not trusted any more, and made anew; a password that was refused is tried again."""
    is_same = unreset(camera)
    for line in ("wifi down", "wifi dhcp", "wifi wrong-password"):
        online, offline = (ears.bodies("presence").count(word) for word in (b"online", b"offline"))
        await camera.say(line)
        if line != "wifi dhcp":
            await ears.hears_presence(b"offline", offline + 1)
            await camera.press()
            await camera.say("wifi up")
        await ears.hears_presence(b"online", online + 1)
        await camera.press()
    await soon(lambda: delivered(camera, 5), "five photos")
    assert sorted(path.read_bytes() for path in uploads.iterdir()) == taken(camera)
    assert is_same()


async def test_restarts_of_broker_and_ftp_server(camera, ears, broker, ftp, unreset, delivered, soon):
    """One after the other, and both at once."""
    is_same = unreset(camera)
    for count, servers in enumerate(([broker], [ftp], [broker, ftp]), 1):
        for server in servers:
            await server.stop()
        await camera.press()
        await asyncio.sleep(0.3)
        for server in servers:
            await server.start()
        await soon(partial(delivered, camera, count), "it is handed over")
    assert is_same()


async def test_a_server_that_moved_is_found_where_its_name_leads(
    make_camera, ears, broker, ftp, config, unreset, delivered, soon
):
    """The name is asked for at each connect: what was remembered would lead to where nobody is any more."""
    names = {"server.test": "127.0.0.1"}
    servers = {part: {"host": "server.test", "port": one.port} for part, one in (("mqtt", broker), ("ftp", ftp))}
    camera = await make_camera(names=names, secrets=servers)
    await ears.hears_presence(b"online")
    is_same = unreset(camera)
    for server in (broker, ftp):
        await server.stop()
    config(f"listener {broker.port} 127.0.0.9")
    await ftp.start("127.0.0.9")
    await broker.start()
    names["server.test"] = "127.0.0.9"
    await camera.press()
    await soon(lambda: delivered(camera, 1), "it is handed over")
    assert is_same()


async def test_a_token_that_is_refused_is_tried_again(make_camera, ears, raw_ftp, broker, config, unreset, soon):
    """By both servers, and later taken by both: as when it was issued a moment too late."""
    set_password = config("password_file {passwords}")
    set_password("another")
    await broker.stop()
    await broker.start()
    raw_ftp.instead["PASS"] = ["530 wrong password"]
    said = []
    camera = await make_camera(ftp_port=raw_ftp.port)
    camera.listen(said.append)
    await soon(lambda: any("not authorized" in line for line in said), "MQTT is refused")
    await soon(lambda: any("530" in line for line in said), "FTP is refused")
    is_same = unreset(camera)
    await camera.press()
    assert raw_ftp.sessions == 1
    set_password("secret")
    await broker.stop()
    await broker.start()
    await ears.hears_presence(b"online")
    await soon(lambda: raw_ftp.photos and sorted(raw_ftp.photos.values()) == taken(camera), "it arrives")
    assert sum("not authorized" in line for line in said) == 1, "it is said once, not at each try"
    assert is_same()


@pytest.mark.soak
async def test_a_network_that_goes_silent(make_camera, ears, broker, raw_ftp, unreset, waiting, soon):
    """Connected, as far as anyone can tell, but nothing passes: found out by what is asked and not answered."""
    async with Link(ports={"mqtt": broker.port, "ftp": raw_ftp.port}) as link:
        camera = await make_camera(mqtt_port=link.ports["mqtt"], ftp_port=link.ports["ftp"])
        await ears.hears_presence(b"online")
        is_same = unreset(camera)
        await link.cut_all(How.SILENCE)
        await camera.press()
        await soon(lambda: raw_ftp.photos, "it arrives, 15 s later, when the first connection is given up")
        await ears.hears_presence(b"online", 2)
        await soon(lambda: not waiting(camera), "nothing waits")
        assert is_same()
