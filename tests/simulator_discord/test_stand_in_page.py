"""The page shows the posts, and nothing that a post says is ever markup or script."""

import asyncio

import pytest

from simulator.discord.page import markdown

NASTY = "<script>alert('x')</script>"


async def text(http, url):
    async with http.get(url) as answer:
        assert answer.status == 200
        return await answer.text(), answer.headers


async def test_the_page_shows_a_photo_with_its_embed(post, discord, http, jpeg):
    payload = {
        "content": "**hello**\n`code`",
        "embeds": [
            {
                "title": "porch",
                "url": "https://example.org/p",
                "description": "taken <t:1700000000:R>",
                "author": {"name": "who"},
                "fields": [{"name": "Size", "value": "1 KB", "inline": True}],
                "image": {"url": "attachment://a.jpg"},
                "footer": {"text": "theid"},
                "timestamp": "2026-11-22T10:00:00Z",
                "color": 0x5865F2,
            }
        ],
    }
    assert "No messages yet" in (await text(http, discord.url))[0]
    _, made, _ = await post(payload, files={0: ("a.jpg", jpeg), 1: ("note.txt", b"<b>")})
    page, headers = await text(http, discord.url)
    for shown in ("<b>hello</b><br><code>code</code>", "porch", "who", "Size", "theid", 'data-unix="1700000000"'):
        assert shown in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    picture = made["attachments"][0]["url"]
    assert f'src="{picture.removeprefix(discord.url)}"' in page
    async with http.get(picture) as answer:
        assert (await answer.read(), answer.content_type) == (jpeg, "image/jpeg")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with http.get(made["attachments"][1]["url"]) as answer:
        assert answer.headers["Content-Disposition"] == "attachment"
    async with http.get(picture.replace("a.jpg", "a.jpg").replace(made["id"], "1")) as answer:
        assert answer.status == 404


async def test_nothing_that_is_shown_is_markup(post, discord, http):
    embed = {
        "title": NASTY,
        "description": NASTY,
        "author": {"name": NASTY},
        "fields": [{"name": NASTY, "value": f"[{NASTY}](https://x/{NASTY})"}],
        "footer": {"text": NASTY},
    }
    await post({"content": NASTY, "username": NASTY, "embeds": [embed]}, files={0: (f"{NASTY}.jpg", b"x")})
    feed, _ = await text(http, f"{discord.url}/feed")
    assert "<script" not in feed
    assert feed.count("&lt;script&gt;") >= 8


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("a < b", "a &lt; b"),
        (r"\*\*not bold\*\*", "**not bold**"),
        ("**bold**", "<b>bold</b>"),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("[x](https://e.org)", '<a href="https://e.org" rel="noreferrer">x</a>'),
        ("<t:0>", '<time data-unix="0" data-style="f">1970-01-01 00:00:00 UTC</time>'),
        ("<t:999999999999>", '<time data-unix="999999999999" data-style="f">999999999999</time>'),
    ],
)
def test_markdown(source, shown):
    assert markdown(source) == shown


async def test_events_tell_of_each_new_message(post, discord, http):
    async with asyncio.timeout(5), http.get(f"{discord.url}/events") as events:
        first = await events.content.readline()
        assert await events.content.readline() == b"\n"
        await post({"content": "x"})
        second = await events.content.readline()
    assert first.startswith(b"data: ")
    assert second not in (first, b"")
