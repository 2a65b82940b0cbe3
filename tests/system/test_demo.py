"""`aperture demo`: press the shutter from the API, and the same bytes are everywhere."""

import hashlib
import signal

import httpx
import pytest

from simulator.available import micropython

pytestmark = [pytest.mark.timeout(180)]


def have_micropython() -> bool:
    from simulator.errors import SimulatorError

    try:
        micropython()
    except SimulatorError:
        return False
    return True


needs_micropython = pytest.mark.skipif(not have_micropython(), reason="no MicroPython for this machine")


@pytest.fixture
def demo(aperture, until):
    one = aperture("demo")
    one.start()
    facts = one.run["demo"]
    one.client = httpx.Client(
        base_url=one.run["api"]["url"], headers={"Authorization": f"Bearer {facts['token']}"}, timeout=30
    )
    yield one
    one.client.close()


def online(demo) -> bool:
    return demo.client.get("/api/v1/cameras/demo").json().get("presence") == "online"


def press(demo) -> dict:
    answer = demo.client.post("/api/v1/cameras/demo/shutter", params={"wait": 20})
    assert answer.status_code == 201, answer.text
    return answer.json()


def posted(demo) -> list[str]:
    """The SHA-256 of each attachment that the stand-in accepted."""
    seen = httpx.get(f"{demo.run['demo']['discord']}/_control").json()["requests"]
    return [digest for one in seen if one["method"] == "POST" and one["message_id"] for digest in one["sha256"]]


def test_the_demo_s_doctor_knows_its_discord(demo):
    """It is well, and there is no webhook to be set."""
    [discord] = [finding for finding in demo.cli("doctor") if finding["check"] == "Discord"]
    assert discord["detail"].startswith(demo.run["demo"]["discord"])
    assert discord["verdict"] == "ok"


@needs_micropython
def test_the_same_bytes_are_everywhere(demo, until):
    """The API's image is, byte for byte, the camera's frame, the file in the archive and Discord's attachment."""
    until(lambda: online(demo), "the camera is online")
    photo = press(demo)
    image = demo.client.get(f"/api/v1/photos/{photo['id']}/image").content
    assert (demo.data_dir / "photos/demo" / f"{photo['id']}.jpg").read_bytes() == image
    taken = demo.data_dir / "simulated/demo/taken"
    assert image in [frame.read_bytes() for frame in taken.iterdir()]
    digest = hashlib.sha256(image).hexdigest()
    until(lambda: posted(demo) == [digest], "the attachment")


@needs_micropython
def test_each_press_is_another_photo_and_one_post(demo, until):
    until(lambda: online(demo), "the camera is online")
    photos = [press(demo) for _ in range(3)]
    assert len({photo["sha256"] for photo in photos}) == 3
    until(lambda: sorted(posted(demo)) == sorted(photo["sha256"] for photo in photos), "three posts")
    listed = demo.client.get("/api/v1/photos").json()["photos"]
    assert {photo["id"] for photo in listed} == {photo["id"] for photo in photos}


@needs_micropython
def test_the_broker_is_killed_in_the_middle(demo, until):
    """Camera and server find each other again by themselves, and nothing that was shot is lost."""
    until(lambda: online(demo), "the camera is online")
    first = press(demo)
    (broker,) = [child for child in demo.children() if child.name() in {"mosquitto", "nats-server"}]
    broker.send_signal(signal.SIGKILL)
    broker.wait(10)
    second = until(lambda: shot(demo), "a shot after it")
    until(lambda: posted(demo) == [first["sha256"], second["sha256"]], "both are posted")


def shot(demo) -> dict | None:
    answer = demo.client.post("/api/v1/cameras/demo/shutter", params={"wait": 20})
    return answer.json() if answer.status_code == 201 else None


def test_the_demo_ends_cleanly(demo):
    """Ctrl-C: exit 0, nothing left running, run.json gone."""
    children = demo.children()
    assert demo.stop() == 0
    assert not (demo.data_dir / "run.json").exists()
    assert [child for child in children if child.is_running() and child.status() != "zombie"] == []
    assert "Traceback" not in demo.output


@needs_micropython
def test_the_demo_s_camera_can_be_updated(demo, until):
    """It has the key that its server signs with."""
    until(lambda: online(demo), "the camera is online")
    bundle = demo.cli("firmware", "build", "--sources", "--version", "9.0.0")["bundle"]
    answer = demo.client.post("/api/v1/cameras/demo/update", json={"bundle": bundle})
    assert answer.status_code == 202, answer.text
    place = answer.headers["Location"]
    until(lambda: demo.client.get(place).json()["state"] in {"done", "failed"}, "the update ends")
    assert demo.client.get(place).json()["detail"] == "9.0.0"
