"""The camera's display, with the real server behind it."""

import httpx
import pytest

from simulator.available import why_not

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(why_not() is not None, reason="no MicroPython for this machine"),
]

CAMERA = "/api/v1/cameras/demo"


@pytest.fixture
def client(aperture, until):
    demo = aperture("demo")
    demo.start()
    headers = {"Authorization": f"Bearer {demo.run['demo']['token']}"}
    with httpx.Client(base_url=demo.run["api"]["url"], headers=headers, timeout=30) as client:
        until(lambda: client.get(CAMERA).json()["presence"] == "online", "the camera is online")
        yield client


def display(client) -> list[str]:
    status = client.get(CAMERA).json()["status"]  # presence comes before the first one
    return status["display"] if status else []


def test_the_camera_shows_that_its_photo_is_in_discord(client, until):
    """The bridge's own word: its record of the photo, published when Discord has taken it."""
    until(lambda: "Ready" in display(client), "it is ready")
    photo = client.post(f"{CAMERA}/shutter", params={"wait": 20}).json()
    shown = until(lambda: (lines := display(client)) and "In Discord" in lines and lines, "it says so")
    assert shown[0] == "demo"
    assert shown[3].startswith(f"photo {photo['seq']} in ")
    until(lambda: "Ready" in display(client), "then it is ready again")
