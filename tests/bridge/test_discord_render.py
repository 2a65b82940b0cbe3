"""A photo becomes a payload within Discord's limits, whatever its camera says of itself."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aperture.contract.messages import PhotoRecord, Stages
from bridge.discord.render import photo_filename, render_photos
from simulator.discord.rules import MessageCreate, check


def test_a_photo(record):
    payload = render_photos([record])
    [embed] = payload["embeds"]
    assert embed["title"] == "front-door"
    assert embed["url"] == record.url
    assert embed["description"] == "<t:1763800000:f> (<t:1763800000:R>)"
    assert embed["timestamp"] == "2025-11-22T08:26:40+00:00"
    assert embed["image"] == {"url": f"attachment://{'a' * 26}.jpg"}
    assert embed["footer"] == {"text": "a" * 26}
    assert {field["name"]: field["value"] for field in embed["fields"]} == {
        "Size": "1600×1200 · 102 kB",  # noqa: RUF001 - the sign for it
        "Trigger": "button",
        "On its way": "captured +0.12 s · stored +0.48 s",
    }
    assert payload["attachments"] == [{"id": 0, "filename": f"{'a' * 26}.jpg", "description": "Photo from front-door"}]
    assert payload["allowed_mentions"] == {"parse": []}


def test_what_is_not_known_is_not_guessed():
    payload = render_photos([PhotoRecord(id="b" * 26, camera="c", state="stored", origin="ftp")])
    [embed] = payload["embeds"]
    assert embed["fields"] == []
    assert "no clock" in embed["description"]
    assert not {"url", "timestamp"} & set(embed)


def test_a_photo_that_may_be_there_twice_says_so(record):
    [embed] = render_photos([record], again=True)["embeds"]
    assert embed["footer"]["text"].startswith(f"{record.id} · sent again")


def test_a_label_is_told_in_words_and_an_unknown_one_as_it_is(record):
    """The picture looks wrong, and not because of the way: whoever sees it is told."""
    [embed] = render_photos([record.model_copy(update={"labels": ["black", "same", "up*side"]})])["embeds"]
    [note] = [field["value"] for field in embed["fields"] if field["name"] == "Note"]
    assert "looks black" in note
    assert "identical to the photo before" in note
    assert note.endswith(r"up\*side")


def test_a_camera_cannot_write_markdown(record):
    trigger = "[win](https://evil.example) @everyone **x**"
    [embed] = render_photos([record.model_copy(update={"trigger": trigger})])["embeds"]
    [value] = [field["value"] for field in embed["fields"] if field["name"] == "Trigger"]
    assert value == r"\[win\]\(https\://evil.example\) \@everyone \*\*x\*\*"


@pytest.mark.parametrize("url", ["/p/a.jpg", "javascript:alert(1)", "https://x/" + "y" * 2048])
def test_only_a_link_that_discord_takes_is_a_link(record, url):
    [embed] = render_photos([record.model_copy(update={"url": url})])["embeds"]
    assert "url" not in embed


@pytest.mark.parametrize("count", [0, 11])
def test_a_message_takes_one_to_ten(record, count):
    with pytest.raises(ValueError, match="1 to 10"):
        render_photos([record] * count)


instant = st.none() | st.integers(0, 2**53)
records = st.builds(
    PhotoRecord,
    id=st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26),
    camera=st.text(min_size=1, max_size=300),
    state=st.just("stored"),
    origin=st.just("camera"),
    trigger=st.none() | st.text(max_size=300),
    taken_at_ms=instant,
    bytes=st.none() | st.integers(0, 2**40),
    width=st.none() | st.integers(1, 65535),
    height=st.none() | st.integers(1, 65535),
    url=st.none() | st.just("https://x.example/" + "y" * 1000),
    stages=st.builds(Stages, pressed=instant, captured=instant, announced=instant, received=instant, stored=instant),
)


@given(st.lists(records, min_size=1, max_size=10))
@settings(max_examples=150, deadline=None)
def test_ten_of_any_photos_keep_every_limit(album):
    payload = orjson.loads(orjson.dumps(render_photos(album)))
    check(MessageCreate, payload, {index: photo_filename(one) for index, one in enumerate(album)})
