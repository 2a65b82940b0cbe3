"""`aperture camera ask` as its owner types it: every command, its progress, its reply, and how it ends."""

import json

import pytest

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shutter"], "shutter done: photo "),
        (["configure", "quality=40", "frame_size=VGA"], "configure done"),
        (["resend"], "resend done: 0 to send again"),
        (["identify"], "identify done"),
        (["reboot"], "reboot done"),
        (["sleep", "next_wake_ms=0"], "sleep done"),
    ],
    ids=lambda words: words[0],
)
async def test_what_can_be_asked(server, camera, words, said):
    """An online camera's reply is waited for."""
    assert said in await server.cli("camera", "ask", camera.name, *words)


async def test_an_update_shows_its_progress(server, camera, make_bundle):
    make_bundle("6.0.0")
    said = await server.cli("camera", "ask", camera.name, "update", "bundle=6.0.0", "--wait", "60")
    assert said.splitlines()[-1] == f"{camera.name}: update done: 6.0.0"
    assert "100 %" in said


async def test_a_reply_that_says_no_is_a_failure(server, camera):
    """Exit 1, with the camera's own words; in JSON, the whole command."""
    said = await server.cli("camera", "ask", camera.name, "resend", f"photo={'a' * 26}", status=1)
    assert "resend failed: unknown_photo: " in said
    asked = json.loads(
        await server.cli("camera", "ask", camera.name, "resend", f"photo={'a' * 26}", "--json", status=1)
    )
    assert (asked["state"], asked["error"]) == ("failed", "unknown_photo")


async def test_a_camera_that_is_not_there_finds_it_in_its_mailbox(server, camera, eventually):
    """Without --wait that is no failure; with it, no reply in time is one."""
    await camera.kill()
    await eventually(lambda: server.presence(camera.name) == "offline", "the server knows")
    assert "waits in the mailbox until" in await server.cli("camera", "ask", camera.name, "configure", "quality=41")
    said = await server.cli("camera", "ask", camera.name, "configure", "quality=42", "--wait", "0.2", status=1)
    assert "not online" in said
    await camera.power_on()
    await eventually(lambda: server.settings(camera.name).get("quality") == 42, "both are done")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nobody", "shutter"], "no camera 'nobody'"),
        (["CAMERA", "update", "bundle=nothing"], "no bundle 'nothing'"),
        (["CAMERA", "update", "url=x"], "nothing but `bundle`"),
        (["CAMERA", "configure", "quality"], "KEY=VALUE"),
    ],
)
async def test_what_can_t_be_asked_is_refused_in_words(server, camera, words, complaint):
    """And nothing is queued."""
    words = [camera.name if word == "CAMERA" else word for word in words]
    assert complaint in await server.cli("camera", "ask", *words, status=1)


async def test_what_nobody_can_do_is_a_wrong_use(server, camera):
    await server.cli("camera", "ask", camera.name, "levitate", status=2)
