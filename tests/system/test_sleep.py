"""Sleep, both halves: the real camera and the real server agree on who sleeps, until when, and what waits."""

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
        until(lambda: presence(client) == "online", "the camera is online")
        yield client


def presence(client) -> str:
    return client.get(CAMERA).json()["presence"]


def test_what_waits_for_a_sleeping_camera_is_done_at_its_next_wake_and_it_sleeps_on(client, until):
    """Queued while it sleeps, with the time it is expected at; taken when the timer wakes it; then asleep again."""
    slept = client.post(f"{CAMERA}/sleep", json={"next_wake_ms": 4_000}).json()
    until(lambda: presence(client) == "asleep", "it sleeps")
    wakes_at_ms = client.get(CAMERA).json()["next_wake_at_ms"]
    refused = client.post(f"{CAMERA}/shutter", params={"wait": 0.2})
    assert refused.status_code == 409
    assert refused.json()["next_wake_at_ms"] == wakes_at_ms
    queued = client.post(f"{CAMERA}/shutter")
    assert queued.status_code == 202
    assert queued.json()["expected_at_ms"] == wakes_at_ms
    command = f"/api/v1/commands/{queued.json()['id']}"
    until(lambda: client.get(command).json()["state"] == "done", "the command is done")
    until(lambda: presence(client) == "asleep", "it sleeps again")
    photo = client.get(command).json()["photo"]
    until(lambda: client.get(f"/api/v1/photos/{photo}").json()["state"] == "stored", "its photo is stored")
    assert client.get(f"/api/v1/commands/{slept['id']}").json()["state"] == "done"
    status = client.get(CAMERA).json()["status"]
    assert (status["reset_cause"], status["wake_reason"]) == ("deepsleep", "timer")


def test_a_camera_that_sleeps_is_never_called_offline(client, until):
    """Its last will does not fire, for it says good-bye; the live feed shows nothing but its sleep."""
    client.post(f"{CAMERA}/sleep", json={"next_wake_ms": 0})
    until(lambda: presence(client) == "asleep", "it sleeps")
    assert client.get(CAMERA).json()["next_wake_at_ms"] is None
    with client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "0"}) as stream:
        kinds = []
        for line in stream.iter_lines():
            if line.startswith("data:") and '"presence"' in line:
                kinds.append(line)
                if '"asleep"' in line:
                    break
    assert not [line for line in kinds if '"offline"' in line]
