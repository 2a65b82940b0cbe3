import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aperture.contract.ids import ContractError
from aperture.contract.messages import (
    MAX_DURATION_MS,
    MAX_PHOTO_BYTES,
    Ack,
    Command,
    Do,
    Manifest,
    MessageRejectedError,
    PhotoRecord,
    Presence,
    Reply,
    Request,
    ServerStatus,
    Sleep,
    Status,
)

MANIFEST = {"photo": "a" * 26, "seq": 1, "trigger": "button", "bytes": 100, "sha256": "b" * 64}
ALL = (Ack, Command, Manifest, PhotoRecord, Reply, Request, ServerStatus, Sleep, Status)


def test_unknown_fields_are_ignored_and_none_are_required_of_a_status():
    """Tomorrow's firmware talks to today's server, and the other way round."""
    assert Status.decode(b'{"brand_new": {"x": [1]}, "queue": 3}') == Status(queue=3)
    assert Status.decode(b"{}") == Status()


def test_what_is_not_known_is_left_out():
    assert json.loads(Reply(command="c1", ok=True).encode()) == {"command": "c1", "ok": True}


def test_a_reply_without_ok_tells_of_progress():
    """One that tells neither is none."""
    assert Reply.decode(b'{"command":"c1","progress":40}') == Reply(command="c1", progress=40)
    for body in ('{"command":"c1"}', '{"command":"c1","progress":101}', '{"command":"c1","progress":-1}'):
        with pytest.raises(MessageRejectedError, match="progress"):
            Reply.decode(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("photo", "A" * 26), ("photo", "../../../../etc/passwd.jpg"), ("seq", -1), ("seq", 2**53 + 1), ("seq", "x"),
        ("bytes", 0), ("bytes", -1), ("bytes", MAX_PHOTO_BYTES + 1), ("sha256", "B" * 64), ("sha256", "b" * 63),
        ("taken_at_ms", -1), ("taken_at_ms", 1.5), ("taken_at_ms", 10**30), ("width", 0), ("height", 65536),
        ("trigger", "x" * 301), ("command", "no such/id"), ("stage_ms", {"captured": -1}), ("stage_ms", [1]),
        ("photo", None), ("bytes", None), ("sha256", None), ("age_ms", MAX_DURATION_MS + 1),
        ("stage_ms", {"captured": MAX_DURATION_MS + 1}), ("stage_ms", {"captured": 2**53}),
        ("labels", "black"), ("labels", ["x" * 33]), ("labels", ["x"] * 9),
    ],
)  # fmt: skip
def test_a_manifest_that_can_t_be_is_refused_with_the_field_s_name(field, value):
    with pytest.raises(MessageRejectedError, match=f"manifest: {field}"):
        Manifest.decode(json.dumps({**MANIFEST, field: value}))


@pytest.mark.parametrize("field", ["photo", "seq", "trigger", "bytes", "sha256"])
def test_a_manifest_without_what_it_is_for_is_refused(field):
    with pytest.raises(MessageRejectedError, match=field):
        Manifest.decode(json.dumps({key: value for key, value in MANIFEST.items() if key != field}))


@pytest.mark.parametrize(
    ("model", "facts", "field"),
    [
        (Status, {}, "heap_free"), (Status, {}, "sd_free_kb"), (Status, {}, "queue"), (Status, {}, "uptime_ms"),
        (Sleep, {"phase": "going"}, "nonce"), (Sleep, {"phase": "going"}, "queue"), (Manifest, MANIFEST, "seq"),
    ],
)  # fmt: skip
def test_no_number_is_larger_than_every_reader_can_hold(model, facts, field):
    """SQLite's integers end at 2^63, those of JSON's readers at 2^53."""
    assert getattr(model.decode(json.dumps({**facts, field: 2**53})), field) == 2**53
    with pytest.raises(MessageRejectedError, match=field):
        model.decode(json.dumps({**facts, field: 2**53 + 1}))


def test_settings_in_a_status_are_words_whole_numbers_and_switches():
    settings = {"frame_size": "UXGA", "quality": 85, "hmirror": True, "brightness": -2, "white_balance": None}
    assert Status.decode(json.dumps({"settings": settings})).settings == settings
    for bad in ({"quality": 8.5}, {"x" * 33: 1}, {f"k{n}": n for n in range(65)}, {"deep": {"er": 1}}, [1]):
        with pytest.raises(MessageRejectedError, match="settings"):
            Status.decode(json.dumps({"settings": bad}))


def test_nobody_sleeps_for_longer_than_a_year():
    assert Sleep.decode(json.dumps({"phase": "going", "next_wake_ms": MAX_DURATION_MS})).next_wake_ms
    with pytest.raises(MessageRejectedError, match="next_wake_ms"):
        Sleep.decode(json.dumps({"phase": "going", "next_wake_ms": MAX_DURATION_MS + 1}))


def test_an_error_does_not_repeat_the_body():
    """It goes to logs; a body may hold what was never meant for them."""
    with pytest.raises(MessageRejectedError) as caught:
        Manifest.decode(json.dumps({**MANIFEST, "photo": "my-secret"}))
    assert "my-secret" not in str(caught.value)


@given(st.sampled_from(ALL), st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_body_whatever_is_more_than_refused(model, body):
    """A hostile neighbour's bytes end in one kind of error, or in a message."""
    try:
        message = model.decode(body)
    except ContractError:
        return
    assert model.decode(message.encode()) == message


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=10))  # fmt: skip
def test_no_json_whatever_is_more_than_refused(value):
    for model in ALL:
        try:
            model.decode(json.dumps(value))
        except ContractError:
            continue


def test_deep_nesting_is_refused():
    with pytest.raises(MessageRejectedError):
        Command.decode(b'{"args":' + b"[" * 100_000)


@pytest.mark.parametrize("word", ["online", "asleep", "offline"])
def test_presence_is_one_of_three_plain_words(word):
    assert Presence.decode(word.encode()) == word


@pytest.mark.parametrize("body", [b"", b"Online", b'"online"', b"online\n", b"\xff", b"online\x00"])
def test_any_other_presence_is_refused(body):
    with pytest.raises(MessageRejectedError, match="online, asleep or offline"):
        Presence.decode(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"shutter", Request(do=Do.SHUTTER)), (b" sleep\n", Request(do=Do.SLEEP)), ("identify", Request(do=Do.IDENTIFY)),
        (b'{"do":"configure","args":{"quality":80}}', Request(do=Do.CONFIGURE, args={"quality": 80})),
        (b'{"do":"shutter","ttl_ms":5}', Request(do=Do.SHUTTER, ttl_ms=5)),
    ],
)  # fmt: skip
def test_an_operator_asks_in_a_word_or_in_json(body, expected):
    assert Request.decode(body) == expected


@pytest.mark.parametrize(
    "body", [b"", b"reboot", b"shutter sleep", b'{"do":"explode"}', b'{"do":"shutter","ttl_ms":0}', b"\xff", b"[]"]
)
def test_any_other_request_is_refused(body):
    """`reboot` and what needs arguments is not had by a plain word."""
    with pytest.raises(MessageRejectedError):
        Request.decode(body)
