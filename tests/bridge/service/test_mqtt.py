"""What cameras hear over MQTT, and what the bridge makes of what it hears."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from aperture.clock import now_ms
from aperture.contract.messages import Do, Presence
from aperture.store import accounts, cameras, mailbox, photos
from aperture.store.mailbox import CommandState

CAMERA = "front-door"
STATUS = "aperture/server/status"


def camera_row(home, name=CAMERA):
    return home.archive.database.read(lambda connection: cameras.get(connection, name))


def command_row(home, command):
    return home.archive.database.read(lambda connection: mailbox.get(connection, command))


def commands_of(home, camera=CAMERA):
    return home.archive.database.read(lambda c: mailbox.waiting(c, camera=camera, now_ms=now_ms()))


async def make(home, do=Do.IDENTIFY, **more):
    return await home.archive.commands.make(camera=CAMERA, do=do, origin="test", now_ms=now_ms(), **more)


async def test_the_servers_status_is_retained(home, camera_on, until) -> None:
    """Online while a bridge serves, with its version; offline after its end."""
    async with home.bridge(), camera_on() as camera:
        await until(lambda: camera.kept(STATUS) == [{"status": "online", "version": "1.2.3"}])
    async with camera_on() as camera:
        await until(lambda: camera.kept(STATUS) == [{"status": "offline", "version": "1.2.3"}])


async def test_presence_and_status_are_kept(home, camera_on, until) -> None:
    """Both reach the camera's row; a will after an announced sleep still means asleep."""
    async with home.bridge(), camera_on() as camera:
        await until(lambda: camera_row(home).presence is Presence.ONLINE)
        await camera.say("status", {"battery_mv": 3900, "queue": 2, "unheard_of": 1})
        await until(lambda: (camera_row(home).status or {}).get("battery_mv") == 3900)
        await camera.say("sleep", {"phase": "going", "next_wake_ms": 60_000})
        await until(lambda: camera_row(home).presence is Presence.ASLEEP)
        wake = camera_row(home).next_wake_at_ms
        assert 50_000 < wake - now_ms() <= 60_000
        await camera.say("presence", "asleep", retain=True)
        await camera.say("presence", "offline", retain=True)
        await camera.say("status", {"battery_mv": 3800})
        await until(lambda: camera_row(home).status["battery_mv"] == 3800)
        assert camera_row(home).presence is Presence.ASLEEP
        assert camera_row(home).next_wake_at_ms == wake


async def test_a_last_will_means_offline(home, camera_on, until) -> None:
    """A camera that vanishes while awake is offline."""
    async with home.bridge(), camera_on() as camera:
        await until(lambda: camera_row(home).presence is Presence.ONLINE)
        camera.client._client._sock_close()
        await until(lambda: camera_row(home).presence is Presence.OFFLINE)


async def test_a_command_goes_at_once_and_again_until_its_reply(home, camera_on, until) -> None:
    """Sent when it is made, with the server's time; sent again when the camera comes online; ended by its reply."""
    async with home.bridge(), camera_on() as camera:
        await until(lambda: camera_row(home).presence is Presence.ONLINE)
        command = await make(home)
        first = (await until(lambda: camera.told("command")))[0]
        assert first["id"] == command.id
        assert first["do"] == "identify"
        assert abs(first["now_ms"] - now_ms()) < 5000
        assert first["expires_at_ms"] == command.expires_at_ms
        await until(lambda: command_row(home, command.id).state is CommandState.SENT)
        await camera.say("presence", "online", retain=True)
        await until(lambda: len(camera.told("command")) == 2)
        for _ in range(3):
            await camera.say("reply", {"command": command.id, "ok": True})
        await until(lambda: command_row(home, command.id).state is CommandState.DONE)
        await camera.say("presence", "online", retain=True)
        marker = await make(home)
        await until(lambda: camera.told("command")[-1]["id"] == marker.id)
        assert [body["id"] for body in camera.told("command")].count(command.id) == 2


async def test_commands_wait_for_a_camera_that_is_away(home, camera_on, until) -> None:
    """Nothing is sent to nobody: the mailbox is emptied, oldest first, when the camera comes."""
    async with home.bridge():
        first = await make(home, Do.CONFIGURE, args={"interval_ms": 5})
        second = await make(home, Do.IDENTIFY)
        async with camera_on() as camera:
            await until(lambda: len({body["id"] for body in camera.told("command")}) == 2)
            assert [body["id"] for body in camera.told("command")][:2] == [first.id, second.id]
        await until(lambda: command_row(home, first.id).state is CommandState.SENT)


async def test_an_expired_command_is_ended_and_never_sent(home, camera_on, until) -> None:
    """Past its end a command is worth nothing."""
    async with home.bridge():
        late = await make(home, ttl_ms=50)
        await until(lambda: command_row(home, late.id).state is CommandState.EXPIRED)
        async with camera_on() as camera:
            marker = await make(home)
            await until(lambda: camera.told("command"))
            assert [body["id"] for body in camera.told("command")] == [marker.id]


async def test_a_shutter_command_is_tied_to_its_photo(home, camera_on, until) -> None:
    """The manifest names the command: whoever asked finds the photo."""
    async with home.bridge(), camera_on() as camera:
        command = await make(home, Do.SHUTTER)
        await until(lambda: camera.told("command"))
        photo = home.archive.new_photo()
        await camera.say("shutter", photo.manifest(command=command.id, trigger="command"))
        await until(lambda: command_row(home, command.id).photo == photo.id)


async def test_everything_waiting_is_delivered_before_sleep_is_allowed(home, camera_on, until) -> None:
    """The camera hears its commands and what it owes, and only then that it may sleep, with its own nonce."""
    async with home.bridge(), camera_on(online=False) as camera:
        command = await make(home, Do.CONFIGURE, args={"a": 1})
        photo = home.archive.new_photo()
        await camera.say("shutter", photo.manifest())
        await until(lambda: camera.told("ack"))
        home.archive.database.write(lambda c: photos.mark_missing(c, announced_before_ms=now_ms() + 1, now_ms=now_ms()))
        await camera.say("sleep", {"phase": "intent", "nonce": 77, "reason": "idle"})
        await until(lambda: any(body.get("nonce") == 77 for body in camera.told("ack")))
        kinds = [body.get("id") or body.get("state") or body.get("sleep_ok") for _, body, _ in camera.heard[1:]]
        assert kinds == ["announced", command.id, "resend", True]


@pytest.mark.parametrize(
    ("body", "do"), [("shutter", "shutter"), ('{"do":"configure","args":{"x":1},"ttl_ms":60000}', "configure")]
)
async def test_a_request_becomes_a_command(home, camera_on, until, body, do) -> None:
    """Plain or JSON, an operator's request is kept, sent, and its origin known."""
    async with home.bridge(), camera_on() as camera:
        await until(lambda: camera_row(home).presence is Presence.ONLINE)
        await camera.say("request", body)
        told = (await until(lambda: camera.told("command")))[0]
        assert told["do"] == do
        assert command_row(home, told["id"]).origin == "mqtt"


async def test_a_retained_request_is_not_carried_out(home, camera_on, until) -> None:
    """A request that a broker kept would press the shutter at each reconnect."""
    async with camera_on() as camera:
        await camera.say("request", "shutter", retain=True)
        async with home.bridge():
            await camera.say("request", "identify")
            await until(lambda: [one.do for one in commands_of(home)] == ["identify"])


async def test_nonsense_is_dropped(home, camera_on, until) -> None:
    """Whatever is said on whatever topic, the bridge goes on, and the rows are as before."""
    bodies = [b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"photo": 5}', b"x" * 20_000, b'{"phase":"dance"}', b"9" * 5000]
    async with home.bridge(), camera_on() as camera:
        await until(lambda: camera_row(home).presence is Presence.ONLINE)
        for kind in ("presence", "status", "shutter", "sleep", "reply", "request"):
            for body in bodies:
                await camera.say(kind, body)
        await camera.client.publish("aperture/UPPER/shutter", b"{}", qos=1)
        photo = home.archive.new_photo()
        await camera.say("shutter", photo.manifest())
        await until(lambda: camera.told("ack"))
        assert camera_row(home).presence is Presence.ONLINE
        assert commands_of(home) == []


async def test_strangers_and_revoked_cameras_are_not_heard(home, camera_on, until) -> None:
    """Only cameras with a valid account count."""
    home.archive.add_camera("sold")
    home.archive.database.write(lambda c: accounts.revoke(c, name="sold", now_ms=now_ms()))
    async with home.bridge(), AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(camera_on(name)) for name in ("nobody", "sold")]
        camera = await stack.enter_async_context(camera_on())
        for stranger in strangers:
            await stranger.say("shutter", home.archive.new_photo(camera=stranger.name).manifest())
            await stranger.say("sleep", {"phase": "intent", "nonce": 1})
        await camera.say("shutter", home.archive.new_photo().manifest())
        await until(lambda: camera.told("ack"))
        assert [stranger.told("ack") for stranger in strangers] == [[], []]
        assert camera_row(home, "sold").presence is Presence.OFFLINE


async def test_the_newest_photos_record_is_retained(home, camera_on, until) -> None:
    """Who comes later sees the newest photo with its Discord message; an older one's news does not take its place."""
    async with home.bridge():
        old, new = home.archive.new_photo(), home.archive.new_photo()
        home.archive.store(old, received_ms=now_ms() - 600_000, hint=False)
        home.archive.store(new)
        await until(lambda: home.archive.record(old).stages.posted and home.archive.record(new).stages.posted)

        async def kept():
            async with camera_on(online=False) as late:
                await until(lambda: late.kept(STATUS))
                return [body for topic, body, _ in late.heard if topic.endswith("/photo")]

        async def shows(holds):
            async with asyncio.timeout(5):
                while not holds(await kept()):  # noqa: ASYNC110 - each look is a new subscription
                    await asyncio.sleep(0.02)

        await shows(lambda seen: seen and seen[0]["id"] == new.id and seen[0]["deliveries"][0]["message_id"])
        home.archive.database.write(lambda c: photos.delete(c, photo=old.id, now_ms=now_ms()))
        home.archive.database.write(lambda c: photos.delete(c, photo=new.id, now_ms=now_ms()))
        home.archive.hints.wake()
        await shows(lambda seen: seen == [])


async def test_a_broker_that_is_killed_comes_back_with_everything(home, broker, camera_on, until) -> None:
    """After kill -9 of the broker: status and the last photo's record are retained again, manifests are acked."""
    async with home.bridge():
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await until(lambda: home.archive.record(photo).stages.posted)
        broker.kill()
        during = home.archive.new_photo()
        home.archive.store(during)
        await until(lambda: home.archive.record(during).stages.posted)
        queued = await make(home)
        broker.start()
        async with camera_on(online=False) as late:
            await until(lambda: {"status": "online", "version": "1.2.3"} in [body for _, body, _ in late.heard])
            await until(lambda: [body["id"] for body in late.told("photo")][-1:] == [during.id])
            await late.say("presence", "online", retain=True)
            await until(lambda: [body["id"] for body in late.told("command")] == [queued.id])
            await late.say("shutter", during.manifest())
            await until(lambda: [body["state"] for body in late.told("ack")] == ["stored"])


async def test_links_are_absolute_when_the_public_address_is_known(home, camera_on, until) -> None:
    async with home.bridge(api={"public_url": "https://photos.example/"}), camera_on() as camera:
        photo = home.archive.new_photo()
        home.archive.store(photo)
        record = (await until(lambda: camera.told("photo")))[0]
        assert record["url"] == f"https://photos.example/p/{photo.id}.jpg"
        message = (await home.discord.wait_for_messages(1))[0]
        assert record["url"] in json.dumps(message.payload)
