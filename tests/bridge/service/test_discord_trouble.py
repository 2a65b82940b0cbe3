"""Whatever Discord does, a photo is posted, and once while we can know better; and nobody waits for another's trouble."""

import asyncio
import json
import pkgutil
import sqlite3
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from aperture.clock import now_ms
from aperture.store import events
from simulator.discord.faults import Fault, FaultKind
from simulator.discord.limits import Limits
from simulator.discord.stand_in import DiscordStandIn


def posted(archive, photo):
    return archive.record(photo).stages.posted


def says_again(message) -> bool:
    return "sent again" in json.dumps(message.payload)


async def store_and_wait(home, until):
    photo = home.archive.new_photo()
    home.archive.store(photo)
    await until(lambda: posted(home.archive, photo))
    return photo


async def test_discord_down_for_a_while(home, until) -> None:
    """Refused connections post nothing and leave no doubt: each photo is there once when Discord is back."""
    async with home.bridge():
        await home.discord.go_down()
        photos = [home.archive.new_photo() for _ in range(5)]
        for photo in photos:
            home.archive.store(photo)
        await until(lambda: sum(home.archive.delivery(photo) is not None for photo in photos) == 5)
        await until(lambda: max(home.archive.delivery(photo).attempts for photo in photos) > 2)
        await home.discord.come_back()
        for photo in photos:
            await until(lambda photo=photo: posted(home.archive, photo))
        assert home.discord.message_total == 5
        assert [home.archive.delivery(photo).uncertain for photo in photos] == [0] * 5
        assert not any(says_again(message) for message in home.discord.messages)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.RATE_LIMIT, retry_after_ms=400),
        Fault(kind=FaultKind.RATE_LIMIT, retry_after_ms=400, scope="global"),
        Fault(kind=FaultKind.RATE_LIMIT, retry_after_ms=400, scope="shared"),
    ],
    ids=lambda fault: fault.scope,
)
async def test_a_rate_limit_is_waited_for(home, until, fault) -> None:
    """The wait that Discord names passes before the next request, whoever's photo it is; then each is posted once."""
    async with home.bridge():
        await store_and_wait(home, until)
        home.discord.misbehave(fault)
        first, second = home.archive.new_photo(), home.archive.new_photo()
        home.archive.store(first)
        home.archive.store(second)
        await until(lambda: posted(home.archive, first) and posted(home.archive, second))
        posts = [request for request in home.discord.requests if request.method == "POST"]
        assert [request.status for request in posts] == [200, 429, 200, 200]
        assert posts[2].started_ns - posts[1].started_ns >= 400_000_000
        assert home.archive.delivery(first).uncertain == 0


async def test_waits_survive_a_restart(home, until) -> None:
    """A new process knows that Discord said wait, and does not ask before."""
    home.discord.misbehave(Fault(kind=FaultKind.RATE_LIMIT, retry_after_ms=1500))
    photo = home.archive.new_photo()
    async with home.bridge():
        home.archive.store(photo)
        await until(lambda: (d := home.archive.delivery(photo)) and d.error == "Discord said wait")
    async with home.bridge():
        await until(lambda: posted(home.archive, photo))
    posts = [request for request in home.discord.requests if request.method == "POST"]
    assert [request.status for request in posts] == [429, 200]
    assert posts[1].started_ns - posts[0].started_ns >= 1_500_000_000


async def test_cloudflare_breaks_the_circuit(home, until) -> None:
    """A 429 that is not Discord's own stops all posts for minutes, and the next process keeps to it."""
    home.discord.misbehave(Fault(kind=FaultKind.CLOUDFLARE, retry_after_ms=0))
    photo = home.archive.new_photo()
    async with home.bridge():
        home.archive.store(photo)
        await until(lambda: (d := home.archive.delivery(photo)) and d.error == "Discord said wait")
        left = home.archive.database.read(lambda c: c.exec_driver_sql("SELECT pauses FROM destination").scalar_one())
        assert json.loads(left)[0]["kind"] == "cloudflare"
    asked = len(home.discord.requests)
    async with home.bridge():
        other = home.archive.new_photo()
        home.archive.store(other)
        await until(lambda: home.archive.delivery(other))
        assert [request.method for request in home.discord.requests[asked:]].count("POST") == 0


@pytest.mark.parametrize(
    ("kind", "messages"),
    [(FaultKind.FAIL_BEFORE, 1), (FaultKind.FAIL_AFTER, 2), (FaultKind.LOSE_REPLY, 2)],
)
async def test_an_unknown_outcome_is_retried_and_marked(home, until, kind, messages) -> None:
    """Nobody can know whether a webhook posted when its answer is lost: it is sent again, and says so."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=kind))
        photo = await store_and_wait(home, until)
        assert home.discord.message_total == messages
        assert [says_again(message) for message in home.discord.messages] == [False] * (messages - 1) + [True]
        assert (home.archive.delivery(photo).uncertain, home.archive.delivery(photo).attempts) == (1, 2)


async def test_a_cut_reply_after_200_is_posted(home, until) -> None:
    """A 200 whose body was cut says that it is posted: not sent again, though its message can't be named."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.CUT_REPLY))
        await store_and_wait(home, until)
        await store_and_wait(home, until)
        assert home.discord.message_total == 2


async def test_a_photo_in_trouble_blocks_nobody(home, until, quick) -> None:
    """While one photo pauses after a failure, others are posted."""
    async with home.bridge(tuning=replace(quick, retry_first_ms=4000, retry_most_ms=4000)):
        home.discord.misbehave(Fault(kind=FaultKind.FAIL_BEFORE))
        first = home.archive.new_photo()
        home.archive.store(first)
        await until(lambda: (d := home.archive.delivery(first)) and d.uncertain == 1)
        await store_and_wait(home, until)
        assert not posted(home.archive, first)
        await until(lambda: posted(home.archive, first))


@pytest.mark.parametrize(("status", "code"), [(404, 10015), (401, 50027), (403, 50013)])
async def test_a_refused_webhook_is_parked_for_good(home, until, status, code) -> None:
    """The owner is told, the photos wait, and the webhook is never called again, in this process nor in the next."""
    home.discord.misbehave(Fault(kind=FaultKind.REFUSE, status=status, code=code, times=None, method=None))
    photo = home.archive.new_photo()
    with capture_logs() as logs:
        async with home.bridge():
            await until(lambda: [log for log in logs if log["event"] == "webhook parked"])
            home.archive.store(photo)
            await until(lambda: home.archive.delivery(photo))
    assert home.discord.webhook.token not in json.dumps(logs, default=str)
    home.discord.heal()
    asked = len(home.discord.requests)
    kinds = [event.kind for event in home.archive.database.read(lambda c: events.after(c, 0))]
    assert kinds.count("destination.parked") == 1
    async with home.bridge():
        other = home.archive.new_photo()
        home.archive.store(other)
        await until(lambda: home.archive.delivery(other))
        assert len(home.discord.requests) == asked
    async with home.bridge(discord={"webhook_url": home.discord.webhook_url(home.discord.webhooks.add())}):
        await until(lambda: posted(home.archive, photo) and posted(home.archive, other))
    assert home.discord.message_total == 2


async def test_a_new_token_unparks(home, until) -> None:
    """The same webhook with another token is another URL: what waited is posted."""
    home.discord.misbehave(Fault(kind=FaultKind.REFUSE, status=401, code=50027))
    photo = home.archive.new_photo()
    async with home.bridge():
        home.archive.store(photo)
        await until(
            lambda: home.archive.database.read(
                lambda c: c.exec_driver_sql("SELECT parked_at_ms FROM destination").scalar()
            )
        )
        await until(lambda: home.archive.delivery(photo).state == "waiting")
    home.discord.heal()
    fresh = home.discord.webhook_url(home.discord.webhooks.rotate(home.discord.webhook.id))
    async with home.bridge(discord={"webhook_url": fresh}):
        await until(lambda: posted(home.archive, photo))


async def test_a_400_is_set_aside_in_discords_words(home, until) -> None:
    """It would be refused again: it is not retried, its error is told, and the next photo goes."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.REFUSE, status=400, code=50035, message="Invalid Form Body"))
        bad = home.archive.new_photo()
        home.archive.store(bad)
        await until(lambda: (d := home.archive.delivery(bad)) and d.state == "set_aside")
        await store_and_wait(home, until)
        assert "Invalid Form Body" in home.archive.record(bad).deliveries[0].error
        assert home.archive.delivery(bad).attempts == 1
        assert home.discord.message_total == 1


async def test_a_413_is_shrunk_once(home, until, jpeg) -> None:
    """Too large: a smaller one is sent, labelled, and the archive keeps the whole."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.REFUSE, status=413, code=40005, message="Request entity too large"))
        photo = home.archive.new_photo(data=jpeg(1, width=800, noise=True))
        home.archive.store(photo)
        await until(lambda: posted(home.archive, photo))
        message = home.discord.messages[0]
        assert len(message.attachments[0].data) <= len(photo.data) // 2
        assert "Shrunk to fit Discord" in json.dumps(message.payload)
        assert home.archive.blobs.read(photo.camera, photo.id) == photo.data
        assert home.archive.delivery(photo).attempts == 2


async def test_a_second_413_is_set_aside(home, until, jpeg) -> None:
    """Shrunk once and still refused: set aside, never tried blindly."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.REFUSE, status=413, code=40005, times=2))
        photo = home.archive.new_photo(data=jpeg(1, width=400, noise=True))
        home.archive.store(photo)
        await until(lambda: (d := home.archive.delivery(photo)) and d.state == "set_aside")
        assert [request.status for request in home.discord.requests if request.method == "POST"] == [413, 413]


async def test_a_message_that_was_deleted_in_discord_is_not_edited_for_ever(home, until, camera_on) -> None:
    """404 Unknown Message is the message's end, not the webhook's."""
    async with home.bridge(), camera_on() as camera:
        photo = await store_and_wait(home, until)
        home.discord.misbehave(
            Fault(kind=FaultKind.REFUSE, status=404, code=10008, message="Unknown Message", method="PATCH")
        )
        await camera.say("shutter", photo.manifest())
        await until(lambda: "deleted in Discord" in (home.archive.delivery(photo).error or ""))
        assert home.archive.delivery(photo).edit_wanted == 0
        await store_and_wait(home, until)


async def test_an_edit_that_keeps_failing_stops_nothing_and_slows_down(home, until, camera_on, quick) -> None:
    """Each failure doubles that edit's own pause; the backlog goes on."""
    tuning = replace(quick, retry_first_ms=200, retry_most_ms=60_000, live_ms=1000)
    async with home.bridge(tuning=tuning), camera_on() as camera:
        photo = await store_and_wait(home, until)
        home.discord.misbehave(Fault(kind=FaultKind.FAIL_BEFORE, method="PATCH", times=None))
        await camera.say("shutter", photo.manifest())

        def edits():
            return [request.started_ns for request in home.discord.requests if request.method == "PATCH"]

        await until(lambda: len(edits()) == 4)
        assert edits()[3] - edits()[2] >= 400_000_000
        old = home.archive.new_photo()
        home.archive.store(old, received_ms=now_ms() - 3_600_000)
        await until(lambda: posted(home.archive, old), timeout_s=1)
        home.discord.heal()


async def test_the_first_failure_after_an_outage_is_a_first_failure(home, until, quick) -> None:
    """Attempts that never reached Discord don't lengthen the pause of one that did."""
    tuning = replace(quick, retry_first_ms=200, retry_most_ms=600_000, unreachable_most_ms=50)
    async with home.bridge(tuning=tuning):
        await home.discord.go_down()
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await until(lambda: (d := home.archive.delivery(photo)) and d.attempts > 7)
        home.discord.misbehave(Fault(kind=FaultKind.FAIL_BEFORE))
        await home.discord.come_back()
        await until(lambda: posted(home.archive, photo), timeout_s=3)
    assert home.archive.delivery(photo).uncertain == 1


async def test_a_post_answered_with_unknown_message_is_tried_again(home, until) -> None:
    """404 Unknown Message is an answer to an edit: a post that gets it is not posted, and not left half done."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.REFUSE, status=404, code=10008))
        photo = await store_and_wait(home, until)
        assert home.archive.delivery(photo).attempts == 2
    assert home.discord.message_total == 1


@pytest.mark.parametrize(
    ("where", "messages"), [("bridge.outbox.poster.render_photos", 1), ("aperture.store.outbox.posted", 2)]
)
async def test_an_attempt_that_breaks_off_is_made_again(home, until, monkeypatch, where, messages) -> None:
    """Whatever breaks, before the post or after it: the delivery is not left as one that is being sent."""
    works, failures = pkgutil.resolve_name(where), [RuntimeError("broken")]

    def break_once(*args, **more):
        if failures:
            raise failures.pop()
        return works(*args, **more)

    monkeypatch.setattr(where, break_once)
    async with home.bridge():
        photo = await store_and_wait(home, until)
    assert (home.archive.delivery(photo).uncertain, home.discord.message_total) == (1, messages)
    assert says_again(home.discord.messages[-1])


async def test_an_edit_survives_a_restart(home, until, camera_on) -> None:
    """A message that is out of date is brought up to date by the next process."""
    home.discord.misbehave(Fault(kind=FaultKind.FAIL_BEFORE, method="PATCH", times=None))
    async with home.bridge(), camera_on() as camera:
        photo = await store_and_wait(home, until)
        await camera.say("shutter", photo.manifest())
        await until(lambda: home.archive.delivery(photo).edit_wanted == 1)
    home.discord.heal()
    async with home.bridge():
        await until(lambda: home.archive.delivery(photo).edit_wanted == 0)
    assert "touch" in json.dumps(home.discord.messages[0].payload)


async def test_discords_own_limits_are_never_run_into(archive, make_home) -> None:
    """Five in two seconds: a burst of twelve is posted without a single 429."""
    async with DiscordStandIn(limits=Limits()) as discord:
        home = make_home(discord)
        async with home.bridge(discord={"channel_per_minute": 30}):
            photos = [archive.new_photo() for _ in range(12)]
            for photo in photos:
                archive.store(photo)
            await discord.wait_for_messages(12, timeout=12)
        assert {request.status for request in discord.requests} == {200}


async def test_an_announced_photo_finds_the_connection_warm(home, until, camera_on, quick) -> None:
    """A connection that was idle is tried when the manifest comes, before the bytes are there."""
    async with home.bridge(tuning=replace(quick, cool_s=0.2)), camera_on() as camera:
        await until(lambda: len(home.discord.requests) == 1)
        await asyncio.sleep(0.25)  # idle for longer than `cool_s`
        await camera.say("shutter", home.archive.new_photo().manifest())
        await until(lambda: [request.method for request in home.discord.requests] == ["GET", "GET"])


async def test_an_outcome_is_written_down_however_long_the_disk_takes(home, until) -> None:
    """Posted while the database is locked by another: the message's id is kept all the same, and nothing is sent twice."""
    async with home.bridge():
        home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=300))
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await home.discord.wait_for_messages(1)
        with sqlite3.connect(home.folder / "aperture.db", isolation_level=None, timeout=5) as other:
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(0.8)  # the answer comes meanwhile
            other.execute("ROLLBACK")
        other.close()
        await until(lambda: posted(home.archive, photo))
        assert home.discord.message_total == 1
