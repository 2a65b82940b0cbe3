import asyncio
import time

import pytest

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.contract.messages import Presence, Reply, Status
from aperture.store import cameras, mailbox


def _take(connection) -> mailbox.Stored | None:
    waiting = mailbox.unsent(connection, now_ms=now_ms())
    if not waiting:
        return None
    mailbox.sent(connection, command=waiting[0].id, now_ms=now_ms())
    return waiting[0]


async def _next_command(archive) -> mailbox.Stored:
    """Wait for a command as the bridge does, and take it."""
    with archive.hints.listen() as listener:
        while True:
            command = await archive.database.awrite(_take)
            if command is not None:
                return command
            await listener.wait(0.05)


async def _answer(archive, command, *, ok: bool = True, **more) -> None:
    reply = Reply(command=command.id, ok=ok, **more)
    await archive.database.awrite(lambda one: mailbox.answer(one, camera=command.camera, reply=reply, now_ms=now_ms()))
    archive.hints.wake()


def _sleep(archive, *, wakes_in_ms: int | None) -> None:
    wake = None if wakes_in_ms is None else now_ms() + wakes_in_ms
    archive.database.write(
        lambda one: cameras.set_presence(
            one, camera="cam", presence=Presence.ASLEEP, now_ms=now_ms(), next_wake_at_ms=wake
        )
    )


def _commands(archive) -> int:
    return archive.database.read(lambda one: one.exec_driver_sql("SELECT count(*) FROM command").scalar())


@pytest.mark.parametrize(
    ("body", "args"), [(None, {}), ({}, {}), ({"bundle": None}, {}), ({"bundle": "1.0"}, {"bundle": "1.0"})]
)
async def test_a_camera_is_updated(archive, operator, body, args):
    """202 with the command, whose progress is told once the camera tells it."""
    answer = await operator.post("/api/v1/cameras/cam/update", json=body)
    assert answer.status_code == 202
    command = await _next_command(archive)
    assert (command.do, command.args) == ("update", args)
    reply = Reply(command=command.id, progress=40)
    archive.database.write(lambda one: mailbox.answer(one, camera="cam", reply=reply, now_ms=now_ms()))
    shown = (await operator.get(answer.headers["Location"])).json()
    assert (shown["state"], shown["progress"]) == ("sent", 40)
    await _answer(archive, command, detail="1.0")
    shown = (await operator.get(answer.headers["Location"])).json()
    assert (shown["state"], shown["detail"]) == ("done", "1.0")


async def test_an_update_that_can_t_be_is_refused_in_words(archive, operator, reader):
    """No bundle's name, no camera, a camera without a key, and nobody but an operator asks."""
    assert (await operator.post("/api/v1/cameras/cam/update", json={"bundle": "../x"})).status_code == 422
    assert (await operator.post("/api/v1/cameras/cam/update", json={"url": "x"})).status_code == 422
    assert (await operator.post("/api/v1/cameras/nobody/update")).status_code == 404
    assert (await reader.post("/api/v1/cameras/cam/update")).status_code == 403
    archive.database.write(lambda one: one.exec_driver_sql("UPDATE camera SET update_key = NULL"))
    answer = await operator.post("/api/v1/cameras/cam/update")
    assert (answer.status_code, "update key" in answer.json()["detail"]) == (409, True)
    assert _commands(archive) == 0


async def test_cameras_are_listed_with_what_is_known(archive, reader, jpeg):
    archive.add_camera("a-dslr", ftp_only=True)
    archive.store(jpeg(64, 48))
    archive.database.write(
        lambda one: cameras.set_status(one, camera="cam", status=Status(battery_mv=3900, queue=2), now_ms=5000)
    )
    listed = (await reader.get("/api/v1/cameras")).json()["cameras"]
    assert [(camera["name"], camera["ftp_only"], camera["photos"]) for camera in listed] == [
        ("a-dslr", True, 0),
        ("cam", False, 1),
    ]
    one = (await reader.get("/api/v1/cameras/cam")).json()
    assert one == listed[1]
    assert (one["status"]["battery_mv"], one["status"]["rssi_dbm"], one["status_at_ms"]) == (3900, None, 5000)
    assert "revoked" not in one


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ({"battery_pct": 72, "battery_mah": 1000, "shot_uah": 415}, 1734),
        ({"battery_pct": 0, "battery_mah": 1000, "shot_uah": 415}, 0),
        ({"battery_mah": 1000, "shot_uah": 415}, None),
        ({"battery_pct": 72, "shot_uah": 415}, None),
        ({"battery_pct": 72, "battery_mah": 1000}, None),
    ],
)
async def test_photos_left_are_forecast_or_unknown(archive, reader, status, left):
    """The part of the battery that is left, over what a photo takes of it; nobody guesses."""
    assert (await reader.get("/api/v1/cameras/cam")).json()["photos_left"] is None
    archive.database.write(lambda one: cameras.set_status(one, camera="cam", status=Status(**status), now_ms=5000))
    assert (await reader.get("/api/v1/cameras/cam")).json()["photos_left"] == left
    assert (await reader.get("/api/v1/cameras")).json()["cameras"][0]["photos_left"] == left


@pytest.mark.parametrize("order", ["manifest first", "bytes first"])
async def test_a_waiting_press_gets_its_own_photo(archive, operator, jpeg, order):
    """201 with the photo whose manifest names the command: not the one that a button made meanwhile."""
    pressing = asyncio.create_task(operator.post("/api/v1/cameras/cam/shutter", params={"wait": 10}))
    command = await _next_command(archive)
    data, photo = jpeg(seed=3), new_photo_id()
    archive.store(jpeg(seed=4))
    archive.announce(jpeg(seed=5), photo=new_photo_id())
    await _answer(archive, command)
    if order == "manifest first":
        archive.announce(data, photo=photo, command=command.id)
        archive.store(data, photo=photo)
    else:
        archive.store(data, photo=photo)
        archive.announce(data, photo=photo, command=command.id)
    answer = await pressing
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/photos/{photo}"
    assert (answer.json()["id"], answer.json()["state"]) == (photo, "stored")
    assert (await operator.get(f"{answer.json()['url']}")).content == data


async def test_a_press_is_answered_as_soon_as_the_photo_is_stored(archive, operator, jpeg):
    """Told by the hint, within a fraction of the time that polling takes at worst, and found without any hint too."""
    for hinted in (True, False):
        pressing = asyncio.create_task(operator.post("/api/v1/cameras/cam/shutter", params={"wait": 10}))
        command = await _next_command(archive)
        data, photo = jpeg(64, 48), new_photo_id()
        archive.announce(data, photo=photo, command=command.id)
        if not hinted:
            archive.hints.wake = lambda: None
        archive.store(data, photo=photo)
        stored = time.monotonic()
        assert (await pressing).status_code == 201
        assert time.monotonic() - stored < (0.2 if hinted else 1.0)


async def test_a_photo_that_is_not_there_in_time_is_a_202_with_the_command(archive, operator, jpeg):
    """The command lives on: its photo can still come, and the command then names it."""
    began = time.monotonic()
    answer = await operator.post("/api/v1/cameras/cam/shutter", params={"wait": 0.3})
    assert answer.status_code == 202
    assert 0.25 < time.monotonic() - began < 3
    command = answer.json()
    assert answer.headers["location"] == f"/api/v1/commands/{command['id']}"
    assert (command["do"], command["state"], command["photo"]) == ("shutter", "queued", None)
    photo = new_photo_id()
    archive.announce(jpeg(64, 48), photo=photo, command=command["id"])
    assert (await operator.get(answer.headers["location"])).json()["photo"] == photo


async def test_a_photo_that_was_only_announced_is_not_answered(archive, operator, jpeg):
    """Nobody is given a photo whose bytes are not durable."""
    pressing = asyncio.create_task(operator.post("/api/v1/cameras/cam/shutter", params={"wait": 0.6}))
    command = await _next_command(archive)
    archive.announce(jpeg(64, 48), photo=new_photo_id(), command=command.id)
    answer = await pressing
    assert (answer.status_code, answer.json()["id"]) == (202, command.id)


async def test_a_camera_that_says_no_ends_the_wait(archive, operator):
    pressing = asyncio.create_task(operator.post("/api/v1/cameras/cam/shutter", params={"wait": 30}))
    command = await _next_command(archive)
    await _answer(archive, command, ok=False, error="busy", detail="too many presses wait")
    answer = await asyncio.wait_for(pressing, 5)
    assert answer.status_code == 502
    assert answer.json()["detail"] == "cam: busy: too many presses wait"
    assert answer.json()["command"] == command.id


@pytest.mark.parametrize("wakes_in_ms", [60_000, None])
async def test_a_camera_that_sleeps_past_the_wait_is_not_asked(archive, operator, wakes_in_ms):
    """409 with the expected wake, and nothing is queued."""
    _sleep(archive, wakes_in_ms=wakes_in_ms)
    answer = await operator.post("/api/v1/cameras/cam/shutter", params={"wait": 1})
    assert answer.status_code == 409
    body = answer.json()
    assert body["type"] == "urn:aperture:problem:camera-asleep"
    if wakes_in_ms is None:
        assert body["next_wake_at_ms"] is None
    else:
        assert abs(body["next_wake_at_ms"] - now_ms() - wakes_in_ms) < 5000
    assert _commands(archive) == 0


async def test_a_camera_that_wakes_within_the_wait_is_asked(archive, operator):
    _sleep(archive, wakes_in_ms=200)
    answer = await operator.post("/api/v1/cameras/cam/shutter", params={"wait": 0.4})
    assert (answer.status_code, _commands(archive)) == (202, 1)


async def test_without_wait_a_sleeping_camera_s_command_waits_for_its_wake(archive, operator):
    """202 at once, with the time at which the camera should hear it, and worth doing until then."""
    _sleep(archive, wakes_in_ms=3_600_000)
    answer = await operator.post("/api/v1/cameras/cam/shutter")
    command = answer.json()
    assert answer.status_code == 202
    assert abs(command["expected_at_ms"] - now_ms() - 3_600_000) < 5000
    assert command["expires_at_ms"] > command["expected_at_ms"]


async def test_when_an_unreachable_camera_will_hear_nobody_claims_to_know(archive, operator):
    assert (await operator.post("/api/v1/cameras/cam/shutter")).json()["expected_at_ms"] is None


async def test_a_long_wait_keeps_its_command_alive(archive, operator):
    """A press that waits a minute is worth doing for a minute."""
    pressing = asyncio.create_task(operator.post("/api/v1/cameras/cam/shutter", params={"wait": 60}))
    command = await _next_command(archive)
    assert command.expires_at_ms - command.created_at_ms == 60_000
    pressing.cancel()
    await asyncio.wait({pressing})


async def test_a_camera_of_ftp_only_takes_no_commands(archive, operator):
    archive.add_camera("dslr", ftp_only=True)
    for answer in (
        await operator.post("/api/v1/cameras/dslr/shutter"),
        await operator.post("/api/v1/cameras/dslr/sleep"),
        await operator.put("/api/v1/cameras/dslr/config", json={"quality": 80}),
    ):
        assert answer.status_code == 404
        assert "FTP" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "args"),
    [
        (None, {}),
        ({}, {}),
        ({"next_wake_ms": 0}, {"next_wake_ms": 0}),
        ({"next_wake_ms": 5000}, {"next_wake_ms": 5000}),
    ],
)
async def test_a_camera_is_sent_to_sleep(archive, operator, body, args):
    answer = (
        await operator.post("/api/v1/cameras/cam/sleep", json=body)
        if body is not None
        else await operator.post("/api/v1/cameras/cam/sleep")
    )
    assert answer.status_code == 202
    assert (answer.json()["do"], answer.json()["args"], answer.json()["origin"]) == ("sleep", args, "http:a-operator")


@pytest.mark.parametrize("body", [{"next_wake_ms": -1}, {"next_wake_ms": "soon"}, {"naxt_wake_ms": 1}, [1]])
async def test_a_wrong_order_to_sleep_is_refused(archive, operator, body):
    assert (await operator.post("/api/v1/cameras/cam/sleep", json=body)).status_code == 422
    assert _commands(archive) == 0


async def test_settings_are_kept_and_asked_of_the_camera(archive, operator):
    """What was asked before and is not named now stays."""
    for config in ({"quality": 80, "frame_size": "UXGA"}, {"quality": 85}):
        answer = await operator.put("/api/v1/cameras/cam/config", json=config)
        assert answer.status_code == 202
        assert (answer.json()["do"], answer.json()["args"]) == ("configure", config)
    known = (await operator.get("/api/v1/cameras/cam")).json()
    assert known["config"] == {"quality": 85, "frame_size": "UXGA"}


async def test_settings_that_the_camera_would_refuse_are_refused_in_words(archive, operator):
    """By its sensor and by what it told it has; nothing is queued, and nothing counts as asked for."""
    status = Status(sensor="OV2640", settings={"frame_size": "SVGA", "quality": 85})
    archive.database.write(lambda one: cameras.set_status(one, camera="cam", status=status, now_ms=5000))
    for config, words in (
        ({"frame_size": "QSXGA"}, "UXGA (OV2640)"),
        ({"quality": None}, "from 5 to 93 (OV2640)"),
        ({"quality": 80, "colour": "red"}, "colour: there is no such setting"),
    ):
        answer = await operator.put("/api/v1/cameras/cam/config", json=config)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:aperture:problem:invalid-request")
        assert words in answer.json()["detail"]
    assert _commands(archive) == 0
    assert (await operator.get("/api/v1/cameras/cam")).json()["config"] is None
    assert (await operator.put("/api/v1/cameras/cam/config", json={"frame_size": "UXGA"})).status_code == 202


async def test_a_shutdown_ends_a_wait_with_the_command(stopped, running):
    """Not with a broken connection: the command is in the store, and its address is told."""
    stopped.add_camera()
    async with running(stopped) as server, stopped.client() as operator:
        pressing = asyncio.create_task(operator.post("/api/v1/cameras/cam/shutter", params={"wait": 60}))
        await _next_command(stopped)
        server.cancel()
        answer = await asyncio.wait_for(pressing, 5)
        assert answer.status_code == 202
        assert answer.headers["location"]


async def test_too_many_waits_are_told_to_come_back(archive, operator, monkeypatch):
    monkeypatch.setattr(asyncio.Semaphore, "locked", lambda _self: True)
    answer = await operator.post("/api/v1/cameras/cam/shutter", params={"wait": 5})
    assert (answer.status_code, _commands(archive)) == (503, 0)
    assert answer.headers["retry-after"]
