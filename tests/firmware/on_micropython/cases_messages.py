"""The bodies of messages, held against the golden files of the server's side."""

import json
import os

from aa import messages
from aa.ids import is_photo_id, new_photo_id, recovered_photo_id
from helpers import Rtc, raises

_FACTS = {
    "photo": "abcdefghijklmnopqrstuvwxy2",
    "bytes": 102_400,
    "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "width": 1600,
    "height": 1200,
}
_COMMAND = "mfrggzdfmztwq2lkmfrggzdfmy"


def _golden(folder, name):
    with open(folder + "/" + name + ".json") as file:
        return json.load(file)


def _facts(**more):
    facts = dict(_FACTS)
    facts.update(more)
    return facts


def manifests_are_the_golden_ones(folder):
    from aa.clock import Clock

    clock = Clock(Rtc())
    stages = {"captured": 120, "queued": 35}
    shot = _facts(seq=7, trigger="button", command=None, stage_ms=stages, taken_at_ms=1_795_000_000_123)
    body = messages.encode_manifest(shot, clock.when(shot))
    assert json.loads(body) == _golden(folder, "shutter-clock")
    shot = _facts(seq=8, trigger="command", command=_COMMAND, stage_ms={"captured": 95, "queued": 20})
    shot.update({"timeline": clock.timeline, "raw_ms": clock.raw_ms() - 4500})
    assert json.loads(messages.encode_manifest(shot, clock.when(shot))) == _golden(folder, "shutter-age")
    shot = _facts(seq=10, trigger="button", labels=["black", "same"], taken_at_ms=1_795_000_000_123)
    assert json.loads(messages.encode_manifest(shot, clock.when(shot))) == _golden(folder, "shutter-labels")
    shot = _facts(seq=9, trigger="touch", timeline="another", raw_ms=5)
    assert json.loads(messages.encode_manifest(shot, clock.when(shot))) == _golden(folder, "shutter-neither")


def statuses_are_the_golden_ones(folder):
    full = _golden(folder, "status-full")
    assert json.loads(messages.encode_status(full)) == full
    known = {"heap_free": 91232, "queue": 0, "uptime_ms": 1234, "firmware": "0.1.0", "board": "sim"}
    known.update({"sensor": "drawn", "display": ["ready"], "reset_cause": "power_on"})
    assert json.loads(messages.encode_status(known)) == _golden(folder, "status-unknown")


def sleeps_are_the_golden_ones(folder):
    for phase in ("intent", "going"):
        body = messages.encode_sleep(phase, 41, "idle", 3_600_000, 0)
        assert json.loads(body) == _golden(folder, "sleep-" + phase)


def replies_are_the_golden_ones(folder):
    assert json.loads(messages.encode_reply(_COMMAND, True)) == _golden(folder, "reply-ok")
    failed = messages.encode_reply(_COMMAND, False, "expired", "it came 12 s too late")
    assert json.loads(failed) == _golden(folder, "reply-failed")
    assert json.loads(messages.encode_progress(_COMMAND, 40)) == _golden(folder, "reply-progress")


def _names(folder, kind):
    """Return the golden files of a kind of message, of which there must be one."""
    names = [name[:-5] for name in os.listdir(folder) if name.startswith(kind + "-")]
    assert names, kind
    return names


def _body(folder, name):
    with open(folder + "/" + name + ".json", "rb") as file:
        return file.read()


def all_that_a_camera_says_can_be_said(folder):
    """Each golden body of the camera's, made from its own fields: one that an encoder doesn't know is missing then."""
    for name in _names(folder, "shutter"):
        said = _golden(folder, name)
        when = {key: said[key] for key in ("taken_at_ms", "age_ms") if key in said}
        assert json.loads(messages.encode_manifest(said, when)) == said, name
    for name in _names(folder, "status"):
        said = _golden(folder, name)
        assert json.loads(messages.encode_status(said)) == said, name
    for name in _names(folder, "sleep"):
        said = _golden(folder, name)
        assert json.loads(messages.encode_sleep(**said)) == said, name
    for name in _names(folder, "reply"):
        said = dict(_golden(folder, name))
        percent = said.get("progress")
        made = messages.encode_reply(**said) if percent is None else messages.encode_progress(said["command"], percent)
        assert json.loads(made) == said, name


def golden_commands_and_acks_are_understood(folder):
    for name in _names(folder, "command"):
        assert messages.decode_command(_body(folder, name)) == _golden(folder, name), name
    for name in _names(folder, "ack"):
        assert messages.decode_ack(_body(folder, name)) == _golden(folder, name), name


def golden_commands_can_be_acted_on(folder):
    """Each is one that `Commands` knows, and its args are such as the camera takes."""
    from aa.commands import Commands
    from aa.settings import check
    from aa.update import _NAME_CHARACTERS

    for name in _names(folder, "command"):
        command = _golden(folder, name)
        assert hasattr(Commands, "_do_" + command["do"]), name
    for key, value in _golden(folder, "command-configure")["args"].items():
        check(key, value)
    check("wake_every_ms", _golden(folder, "command-sleep")["args"]["next_wake_ms"])
    assert is_photo_id(_golden(folder, "command-resend")["args"]["photo"])
    assert all(letter in _NAME_CHARACTERS for letter in _golden(folder, "command-update")["args"]["bundle"])


def golden_records_of_a_photo_are_understood(folder):
    """The display says how far a photo of this camera's is: first stored, then in Discord."""
    from aa import screens
    from aa.scene import Scene

    class Entry:
        photo, seq, taken_ticks = _FACTS["photo"], 7, 0

    scene = Scene(None)
    assert not scene.told(_body(folder, "photo-stored")), "it is nobody's yet"
    scene.delivered(Entry())
    for name, screen in (("photo-stored", screens.stored), ("photo-posted", screens.in_discord)):
        assert scene.told(_body(folder, name))
        assert scene._arrived[0] is screen and scene._arrived[1]["number"] == 7
    assert not scene.told(_body(folder, "photo-posted")), "it was told before"
    assert {"photo-stored", "photo-posted"} == set(_names(folder, "photo"))


def bad_commands_are_refused_in_words():
    good = {"id": "a1", "do": "shutter", "args": {}, "expires_at_ms": 2, "now_ms": 1}
    assert messages.decode_command(json.dumps(good)) == good
    for body in (b"", b"\xff\xfe", b"[]", b"7", b"null", b"{", b'"text"'):
        raises(messages.BadMessage, messages.decode_command, body)
    for key, value in (
        ("id", None),
        ("id", ""),
        ("id", "a" * 33),
        ("id", "../x"),
        ("id", "A1"),
        ("id", 7),
        ("do", None),
        ("do", 5),
        ("args", []),
        ("expires_at_ms", 1.5),
        ("expires_at_ms", None),
        ("now_ms", -1),
        ("now_ms", True),
        ("now_ms", "1"),
    ):
        bad = dict(good)
        bad[key] = value
        cause = raises(messages.BadMessage, messages.decode_command, json.dumps(bad))
        assert key in str(cause)


def unknown_fields_are_ignored_and_args_may_be_missing():
    body = b'{"id":"a1","do":"sing","expires_at_ms":2,"now_ms":1,"new":[1]}'
    assert messages.decode_command(body)["args"] == {}


def bad_acks_are_refused():
    for body in (
        b'{"photo":"x","state":"stored","now_ms":1}',
        b'{"photo":"abcdefghijklmnopqrstuvwxy2","state":"lost","now_ms":1}',
        b'{"sleep_ok":true,"now_ms":1}',
        b'{"sleep_ok":true,"nonce":"4","now_ms":1}',
        b'{"photo":"abcdefghijklmnopqrstuvwxy2","state":"stored"}',
    ):
        raises(messages.BadMessage, messages.decode_ack, body)
    assert messages.decode_ack(b'{"now_ms":5}') == {"now_ms": 5}
    assert messages.decode_ack(b'{"now_ms":5,"sleep_ok":1,"nonce":2}')["sleep_ok"] is False


def an_id_that_was_lost_is_made_anew_as_the_server_makes_it():
    """`tests/aperture/test_ids.py` has the same."""
    assert recovered_photo_id(7, "ab" * 32) == "qdfar52to2246lhy5bi4evsqxe"


def photo_ids_are_128_random_bits_in_base32():
    ids = {new_photo_id() for _ in range(200)}
    assert len(ids) == 200 and all(is_photo_id(one) for one in ids)
    assert {one[-1] for one in ids} <= set("aeimquy4"), "130 bits: the last two are zero"
    assert len({letter for one in ids for letter in one}) == 32
    assert not is_photo_id("A" * 26) and not is_photo_id("a" * 25) and not is_photo_id(None)
