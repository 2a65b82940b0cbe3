"""Whatever order a photo's manifest and bytes come in, it is posted once, and shown as it is."""

import json

from structlog.testing import capture_logs

from aperture.clock import now_ms
from aperture.store import events, photos

CAMERA = "front-door"


def events_of(archive, photo) -> list[str]:
    found = archive.database.read(lambda connection: events.after(connection, 0))
    return [event.kind for event in found if event.photo == photo.id]


def said_of(message) -> str:
    return json.dumps(message.payload, ensure_ascii=False)


def acks(camera, photo) -> list[str]:
    return [body["state"] for body in camera.told("ack") if body.get("photo") == photo.id]


async def test_bytes_without_a_manifest_are_posted(home, until) -> None:
    """The post has the very bytes; the row has the message's id, the record its time."""
    async with home.bridge():
        photo = home.archive.new_photo()
        home.archive.store(photo)
        message = (await home.discord.wait_for_messages(1))[0]
        assert message.attachments[0].data == photo.data
        assert photo.id in said_of(message)
        record = await until(lambda: (r := home.archive.record(photo)).stages.posted and r)
        assert record.deliveries[0].message_id == message.id
        assert record.deliveries[0].state == "posted"
        assert record.deliveries[0].attempts == 1
        assert events_of(home.archive, photo) == ["photo.stored", "photo.posted"]


async def test_manifest_then_bytes(home, camera_on, until) -> None:
    """The camera hears `announced`, then `stored`; the one message tells what the manifest said."""
    async with home.bridge(), camera_on() as camera:
        photo = home.archive.new_photo()
        await camera.say("shutter", photo.manifest(taken_at_ms=now_ms() - 500, stage_ms={"captured": 120}))
        await until(lambda: acks(camera, photo) == ["announced"])
        home.archive.store(photo)
        message = (await home.discord.wait_for_messages(1))[0]
        assert "touch" in said_of(message)
        await until(lambda: acks(camera, photo) == ["announced", "stored"])
        await until(lambda: home.archive.record(photo).stages.posted)
        assert home.discord.message_total == 1


async def test_a_late_manifest_edits_the_message(home, camera_on, until) -> None:
    """Bytes first: posted at once, enriched by an edit that leaves the picture alone, acknowledged as stored.

    Not before it came: the camera would let go of a manifest that was lost on its way.
    """
    async with home.bridge(), camera_on() as camera:
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await home.discord.wait_for_messages(1)
        await until(lambda: any(body["id"] == photo.id and body["stages"]["posted"] for body in camera.told("photo")))
        assert acks(camera, photo) == []
        await camera.say("shutter", photo.manifest(age_ms=1500))
        await until(lambda: "touch" in said_of(home.discord.messages[0]))
        assert home.discord.message_total == 1
        assert home.discord.messages[0].attachments[0].data == photo.data
        assert [request.body_bytes > 5000 for request in home.discord.requests if request.method == "PATCH"] == [False]
        await until(lambda: acks(camera, photo) == ["stored"])
        await until(lambda: home.archive.delivery(photo).edit_wanted == 0)


async def test_a_manifest_that_does_not_match_asks_for_the_bytes_and_mends_the_message(home, camera_on, until) -> None:
    """Suspect bytes are asked for again; the right ones take the wrong ones' place in the same message."""
    async with home.bridge(), camera_on() as camera:
        wrong, right = home.archive.new_photo(), home.archive.new_photo()
        right.id = wrong.id
        home.archive.store(wrong)
        await home.discord.wait_for_messages(1)
        await until(lambda: home.archive.record(wrong).stages.posted)
        await camera.say("shutter", right.manifest())
        await until(lambda: "resend" in acks(camera, right))
        assert home.archive.record(right).state == "suspect"
        assert home.archive.store(right)
        await until(lambda: home.discord.messages[0].attachments[0].data == right.data)
        assert len(home.discord.messages[0].attachments) == 1
        assert home.discord.message_total == 1
        await until(lambda: acks(camera, right)[-1] == "stored")
        await until(lambda: home.archive.delivery(right).sha256 == right.sha256)


async def test_the_same_manifest_ten_times(home, camera_on, until) -> None:
    """Ten acknowledgements, one photo, one event: the camera repeats itself until it has heard."""
    async with home.bridge(), camera_on() as camera:
        photo = home.archive.new_photo()
        for _ in range(10):
            await camera.say("shutter", photo.manifest(age_ms=100))
        await until(lambda: acks(camera, photo) == ["announced"] * 10)
        assert events_of(home.archive, photo) == ["photo.announced"]


async def test_the_same_bytes_twice_are_one_message(home, until) -> None:
    """A 226 that was lost brings the same upload again: no second row, no second post."""
    async with home.bridge():
        photo = home.archive.new_photo()
        assert home.archive.store(photo)
        await until(lambda: home.archive.record(photo).stages.posted)
        assert not home.archive.store(photo)
        other = home.archive.new_photo()
        home.archive.store(other)
        await until(lambda: home.archive.record(other).stages.posted)
        assert home.discord.message_total == 2


async def test_a_manifest_without_bytes_is_missing_and_asked_for(home, camera_on, until) -> None:
    """Past its deadline the photo is missing, and its camera is asked for it a bounded number of times."""
    async with home.bridge(missing_after_s=1), camera_on() as camera:
        photo = home.archive.new_photo()
        await camera.say("shutter", photo.manifest())
        await until(lambda: acks(camera, photo))
        await until(lambda: home.archive.record(photo).state == "missing")
        await until(lambda: acks(camera, photo) == ["announced"] + ["resend"] * 5)
        await until(lambda: home.archive.database.read(lambda c: photos.find(c, photo.id)).resends == 5)
        await camera.say("presence", "online", retain=True)
        await camera.say("sleep", {"phase": "intent", "nonce": 1})
        await until(lambda: camera.told("ack")[-1].get("sleep_ok"))
        assert acks(camera, photo).count("resend") == 5
        home.archive.store(photo)
        await home.discord.wait_for_messages(1)
        await until(lambda: acks(camera, photo)[-1] == "stored")


async def test_another_cameras_photo_can_not_be_claimed(home, camera_on, until) -> None:
    """A manifest for a photo of another camera is dropped: neither acknowledged nor taken."""
    home.archive.add_camera("garage")
    async with home.bridge(), camera_on() as camera, camera_on("garage") as garage:
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await garage.say("shutter", photo.manifest(trigger="stolen"))
        await camera.say("shutter", photo.manifest())
        await until(lambda: home.archive.record(photo).trigger)
        assert acks(garage, photo) == []
        assert home.archive.record(photo).trigger == "touch"


async def test_without_a_webhook_photos_are_kept_and_a_later_one_gets_only_new_ones(home, until) -> None:
    """A destination starts when it is set: what was stored before, while the bridge ran, is not posted."""
    async with home.bridge(webhook=False):
        old = home.archive.new_photo()
        home.archive.store(old)
        await until(lambda: home.archive.database.read(lambda c: events.cursor(c, "outbox")) > 0)
    async with home.bridge():
        new = home.archive.new_photo()
        home.archive.store(new)
        message = (await home.discord.wait_for_messages(1))[0]
        assert message.attachments[0].data == new.data
        assert home.archive.delivery(old) is None


async def test_what_was_stored_while_the_bridge_was_away_is_posted_in_the_order_taken(home, until) -> None:
    """Hints are only hints: the rows are found at the start."""
    away = [home.archive.new_photo() for _ in range(5)]
    for number in (3, 0, 4, 1, 2):
        home.archive.store(away[number], hint=False, received_ms=now_ms() - 5000 + number * 1000)
    async with home.bridge():
        messages = await home.discord.wait_for_messages(5)
    assert [message.attachments[0].data for message in messages] == [photo.data for photo in away]


async def test_a_deleted_photo_that_waits_is_not_posted(home, until) -> None:
    """Deleted before it could be posted: it never is, and blocks nobody."""
    gone, other = home.archive.new_photo(), home.archive.new_photo()
    home.archive.store(gone, hint=False)
    home.archive.store(other, hint=False)
    home.archive.database.write(lambda c: photos.delete(c, photo=gone.id, now_ms=now_ms()))
    async with home.bridge():
        messages = await home.discord.wait_for_messages(1)
        await until(lambda: home.archive.record(other).stages.posted)
    assert [message.attachments[0].data for message in messages] == [other.data]


async def test_photos_whose_folder_is_not_mounted_are_posted_once_it_is(home, until) -> None:
    """A file that isn't there may come back: only who deletes a photo gives it up. It is said once, not per photo."""
    away = [home.archive.new_photo() for _ in range(3)]
    for photo in away:
        home.archive.store(photo, hint=False)
    folder = home.folder / "photos" / away[0].camera
    folder.rename(home.folder / "elsewhere")
    with capture_logs() as logs:
        async with home.bridge():
            await until(lambda: all((d := home.archive.delivery(photo)) and d.attempts > 1 for photo in away))
            assert {home.archive.delivery(photo).error for photo in away} == {"the photo's bytes are not there"}
            assert home.discord.message_total == 0
            (home.folder / "elsewhere").rename(folder)
            messages = await home.discord.wait_for_messages(3)
            await until(lambda: all(home.archive.record(photo).stages.posted for photo in away))
    assert {message.attachments[0].data for message in messages} == {photo.data for photo in away}
    assert [home.archive.delivery(photo).uncertain for photo in away] == [0, 0, 0]
    assert len([log for log in logs if log["log_level"] == "error"]) == 1


async def test_a_file_that_is_gone_holds_up_nobody(home, until) -> None:
    """It is looked for again, with growing pauses, and the next one goes."""
    lost, other = home.archive.new_photo(), home.archive.new_photo()
    home.archive.store(lost, hint=False)
    home.archive.blobs.delete(lost.camera, lost.id)
    home.archive.store(other, hint=False)
    async with home.bridge():
        await until(lambda: home.archive.record(other).stages.posted)
        await until(lambda: (d := home.archive.delivery(lost)).state == "waiting" and d.not_before_ms > d.updated_at_ms)
    assert home.discord.message_total == 1
