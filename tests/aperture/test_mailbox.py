import pytest

from aperture.contract.ids import new_command_id
from aperture.contract.messages import Do, Reply
from aperture.store import events, mailbox
from aperture.store.mailbox import CommandState, Stored


def _command(**more) -> Stored:
    facts = {
        "id": new_command_id(), "camera": "cam", "do": Do.SHUTTER, "args": {"a": 1}, "origin": "test",
        "state": CommandState.QUEUED, "created_at_ms": 1000, "expires_at_ms": 31_000, "expected_at_ms": None,
        "sent_at_ms": None, "answered_at_ms": None, "error": None, "detail": None, "photo": None,
    }  # fmt: skip
    return Stored(**facts | more)


@pytest.fixture
def put(database):
    def make(**more) -> Stored:
        command = _command(**more)
        database.write(lambda one: mailbox.put(one, command))
        return command

    return make


def _get(database, command) -> Stored:
    return database.read(lambda one: mailbox.get(one, command.id))


def _sent(database, command, now_ms=2000):
    database.write(lambda one: mailbox.sent(one, command=command.id, now_ms=now_ms))


def _answer(database, command, *, camera="cam", ok=True, now_ms=3000, **more):
    reply = Reply(command=command.id, ok=ok, **more)
    return database.write(lambda one: mailbox.answer(one, camera=camera, reply=reply, now_ms=now_ms))


def _waiting(database, now_ms=5000):
    return [command.id for command in database.read(lambda one: mailbox.waiting(one, camera="cam", now_ms=now_ms))]


def test_a_command_comes_back_as_it_was_put(database, put):
    command = put()
    assert _get(database, command) == command


def test_a_command_waits_until_its_reply_however_often_it_is_sent(database, put):
    """Sent is not done: a camera that slept or restarted in between gets it again."""
    command = put()
    for now_ms in (2000, 4000):
        _sent(database, command, now_ms)
        assert _waiting(database) == [command.id]
    assert _answer(database, command)
    assert _waiting(database) == []
    assert (_get(database, command).state, _get(database, command).sent_at_ms) == ("done", 4000)


def test_commands_wait_in_the_order_they_were_made(database, put):
    late, early = put(created_at_ms=2000), put(created_at_ms=1000)
    put(camera="other")
    assert _waiting(database) == [early.id, late.id]
    assert [one.id for one in database.read(lambda one: mailbox.unsent(one, now_ms=1))][1:] != []


def test_an_expired_command_is_not_sent(database, put):
    command = put(expires_at_ms=5000)
    assert _waiting(database, now_ms=4999) == [command.id]
    assert _waiting(database, now_ms=5000) == []
    assert database.read(lambda one: mailbox.unsent(one, now_ms=5000)) == []


@pytest.mark.parametrize(
    ("reply", "state"),
    [({"ok": True}, "done"), ({"ok": False, "error": "busy", "detail": "later"}, "failed"),
     ({"ok": False, "error": "expired"}, "expired")],
)  # fmt: skip
def test_a_reply_ends_it_once(database, put, reply, state):
    """A second reply, or one after the end, changes nothing."""
    command = put()
    assert _answer(database, command, **reply)
    assert not _answer(database, command, ok=not reply["ok"], now_ms=9000)
    ended = _get(database, command)
    assert (ended.state, ended.answered_at_ms, ended.error) == (state, 3000, reply.get("error"))


def test_progress_ends_nothing(database, put):
    """It is kept and told; after the end, and from another camera, it changes nothing."""
    command = put()
    assert _answer(database, command, ok=None, progress=40)
    assert (_get(database, command).state, _get(database, command).progress) == ("queued", 40)
    assert not _answer(database, command, camera="other", ok=None, progress=50)
    assert _answer(database, command)
    assert not _answer(database, command, ok=None, progress=60)
    assert (_get(database, command).state, _get(database, command).progress) == ("done", 40)
    told = [event for event in database.read(lambda one: events.after(one, 0)) if event.kind == "command.progress"]
    assert [event.body["progress"] for event in told] == [40]


def test_no_camera_answers_for_another(database, put):
    command = put()
    assert not _answer(database, command, camera="other")
    assert _get(database, command).state == "queued"


def test_a_reply_that_beats_the_note_of_its_sending_stays(database, put):
    """MQTT is quick: the camera may answer before `sent` is written. The end stays the end."""
    command = put()
    _answer(database, command)
    _sent(database, command)
    assert _get(database, command).state == "done"


def test_a_photo_is_tied_to_the_command_that_its_manifest_names(database, put, manifest):
    """Whether the reply came before or not; and only by the command's own camera."""
    command = put()
    _answer(database, command)
    told = manifest(command=command.id)
    database.write(lambda one: mailbox.photographed(one, camera="other", manifest=told))
    assert _get(database, command).photo is None
    database.write(lambda one: mailbox.photographed(one, camera="cam", manifest=told))
    assert _get(database, command).photo == told.photo
    database.write(lambda one: mailbox.photographed(one, camera="cam", manifest=manifest()))
    assert _get(database, command).photo == told.photo


def test_only_what_was_never_sent_is_cancelled(database, put):
    queued, sent = put(), put()
    _sent(database, sent)

    def cancel(command):
        return database.write(lambda one: mailbox.cancel(one, command=command, now_ms=4000))

    assert [cancel(queued.id), cancel(queued.id), cancel(sent.id), cancel("nothing")] == [True, False, False, False]
    assert (_get(database, queued).state, _get(database, sent).state) == ("cancelled", "sent")


def test_expiring_gives_a_sent_command_some_grace(database, put):
    """The camera may have acted in time, and its reply be on the way."""
    queued, sent, later = put(expires_at_ms=5000), put(expires_at_ms=5000), put(expires_at_ms=90_000)
    _sent(database, sent)

    def expire(now_ms):
        return database.write(lambda one: mailbox.expire(one, now_ms=now_ms, grace_ms=1000))

    assert (expire(4999), expire(5000), expire(5999), expire(6000)) == ([], [queued.id], [], [sent.id])
    assert _get(database, later).state == "queued"
    assert _get(database, sent).error == "expired"


def test_what_was_begun_in_time_may_end_later(database, put):
    """New firmware takes minutes, however soon it was to be begun; but not for ever."""
    command = put(expires_at_ms=5000)
    _sent(database, command)
    _answer(database, command, ok=None, progress=10)
    late = 5000 + mailbox.PROGRESS_GRACE_MS
    assert database.write(lambda one: mailbox.expire(one, now_ms=late - 1)) == []
    assert database.write(lambda one: mailbox.expire(one, now_ms=late)) == [command.id]


def test_each_step_is_told(database, put):
    command = put()
    _sent(database, command)
    _answer(database, command)
    told = [event for event in database.read(lambda one: events.after(one, 0)) if event.kind.startswith("command.")]
    assert [(event.kind, event.body["state"]) for event in told] == [
        ("command.queued", "queued"), ("command.sent", "sent"), ("command.ended", "done"),
    ]  # fmt: skip
    assert {event.body["command"] for event in told} == {command.id}
    assert {event.camera for event in told} == {"cam"}
