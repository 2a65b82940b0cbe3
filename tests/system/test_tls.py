"""TLS at both ends: the real firmware, which trusts one CA and nobody else, and the real server, which serves nothing in the clear."""

import asyncio
import json
import shutil

import httpx
import pytest

from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.mqtt.engine import find_program
from simulator.available import why_not
from simulator.camera import VirtualCamera
from simulator.libraries import default_cache

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(why_not() is not None, reason="no MicroPython for this machine"),
]

CLOSED = """
[mqtt]
broker = "{broker}"
tls_port = 0
plain = false

[ftp]
tls = "require"
"""


@pytest.fixture(params=["mosquitto", "nats"])
def up(request, aperture, tmp_path):
    """A server that cameras reach over TLS alone."""
    if find_program({"nats": "nats-server"}.get(request.param, request.param)) is None:
        pytest.skip(f"{request.param} is not installed")
    (tmp_path / "aperture.toml").write_text(CLOSED.format(broker=request.param))
    one = aperture("up")
    one.cli("tls", "init")
    one.start()
    return one


@pytest.fixture
def client(up):
    with up.http() as client:
        yield client


@pytest.fixture
async def make_camera(up, tmp_path):
    """Return a function that makes the camera `porch`, with a CA's certificate; it is switched off afterwards."""
    made = []
    account = up.cli("camera", "add", "porch")

    async def make(ca):
        for camera in made:
            await camera.stop()
        camera = VirtualCamera(
            name="porch",
            token=account["token"],
            host="127.0.0.1",
            mqtt_port=up.run["mqtt"]["tls_port" if ca else "port"],
            ftp_port=up.run["ftp"]["port"],
            folder=tmp_path / "camera",
            cache=default_cache(),
            ca=ca,
        )
        made.append(camera)
        await camera.__aenter__()
        return camera

    yield make
    for camera in made:
        await camera.stop()


@pytest.fixture
def wait(until):
    """As `until`, while the event loop goes on: a camera lives in it."""

    async def wait(condition, what):
        return await asyncio.to_thread(until, condition, what)

    return wait


def presence(client: httpx.Client) -> str:
    return client.get("/api/v1/cameras/porch").json().get("presence")


def stored(client: httpx.Client) -> list[bytes]:
    """The bytes of all photos that are stored, the oldest first."""
    photos = client.get("/api/v1/photos").json()["photos"]
    done = [photo["id"] for photo in photos if photo["state"] == "stored"]
    return [client.get(f"/api/v1/photos/{photo}/image").content for photo in reversed(done)]


async def test_a_photo_under_tls_all_the_way(up, client, make_camera, until, wait):
    """Pressed, announced over MQTT with TLS, handed over by FTPS, both verified; also after the certificate is renewed."""
    files = TlsFiles.of(up.data_dir)
    camera = await make_camera(files.ca_der)
    secrets = json.loads((camera.folder / "flash/secrets.json").read_text())
    assert secrets["mqtt"]["tls"]
    assert secrets["ftp"]["tls"]
    await wait(lambda: presence(client) == "online", "the camera is online")
    for count in (1, 2):
        await camera.press()
        await wait(lambda count=count: len(stored(client)) == count, f"photo {count} is stored")
        up.cli("tls", "init")
    frames = [frame.read_bytes() for frame in sorted(camera.taken.glob("*.jpg"))]
    assert all(photo in frames for photo in stored(client))
    checks = {one["check"]: one["verdict"] for one in up.cli("doctor")}
    assert {checks[what] for what in ("TLS", "MQTT over TLS", "FTPS")} == {"ok"}


async def test_a_server_of_another_ca_hears_nothing(up, client, make_camera, tmp_path, wait):
    """A camera that trusts another CA says not a word and keeps its photo; with the right one it hands it over."""
    other = TlsFiles(tmp_path / "other")
    authority.init(other, hosts=["127.0.0.1", "localhost"])
    camera = await make_camera(other.ca_der)
    said = []
    camera.listen(said.append)
    await camera.press()
    await wait(lambda: camera.waiting == 1, "the photo waits")
    await wait(lambda: any("mqtt down" in line for line in said), "the camera says why")
    assert presence(client) != "online"
    assert stored(client) == []
    shutil.copyfile(TlsFiles.of(up.data_dir).ca_der, tmp_path / "ca.der")
    camera = await make_camera(tmp_path / "ca.der")
    await wait(lambda: len(stored(client)) == 1, "the photo is stored")
    await wait(lambda: camera.waiting == 0, "the camera lets go of it")


async def test_a_camera_without_tls_is_told_what_is_wrong(up, client, make_camera, wait):
    """It hands over nothing in the clear, and keeps its photo; flashed again, it hands it over."""
    camera = await make_camera(None)
    said = []
    camera.listen(said.append)
    await camera.press()
    await wait(lambda: any("ftp down" in line and "AUTH TLS" in line for line in said), "it is told")
    await wait(lambda: camera.waiting == 1, "the photo waits")
    assert stored(client) == []
    await make_camera(TlsFiles.of(up.data_dir).ca_der)
    await wait(lambda: len(stored(client)) == 1, "the photo is stored")
