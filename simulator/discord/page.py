"""Shows the posts on a page, much as Discord would: `/`, refreshed by `/feed` whenever `/events` says so.

All that is shown was written by others: every text goes through `html.escape`, links must be http(s), and the
content security policy runs no script but the page's own.
"""

import asyncio
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import Any

from aiohttp import web

from simulator.discord.api import WebhookApi, resolve
from simulator.discord.ledger import Attachment, Ledger, Message

_KEEPALIVE_MS = 15_000
_TEMPLATE = files("simulator.discord").joinpath("page.html").read_text(encoding="utf-8")
_MARKDOWN = re.compile(
    r"\\(?P<literal>[^\w\s])"
    r"|<t:(?P<unix>-?\d{1,12})(?::(?P<style>[tTdDfFR]))?>"
    r"|\*\*(?P<bold>[^*]+)\*\*"
    r"|`(?P<code>[^`]+)`"
    r"|\[(?P<label>[^\]]+)\]\((?P<link>https?://[^)\s]+)\)"
)


class Page:
    """The page, its fragment, its events and the attachments."""

    def __init__(self, *, ledger: Ledger, api: WebhookApi) -> None:
        self._ledger = ledger
        self._api = api

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/", self.show)
        app.router.add_get("/feed", self.feed)
        app.router.add_get("/events", self.events)
        app.router.add_get("/attachments/{message_id}/{attachment_id}/{filename}", self.attachment)

    async def show(self, _request: web.Request) -> web.Response:
        """Return the whole page; it is readable without its script."""
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
            f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        page = _TEMPLATE.replace("{{nonce}}", nonce).replace("{{feed}}", self.render())
        return web.Response(
            text=page,
            content_type="text/html",
            headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"},
        )

    async def feed(self, _request: web.Request) -> web.Response:
        """Return the messages as a fragment of HTML."""
        return web.Response(text=self.render(), content_type="text/html", headers={"Cache-Control": "no-store"})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Say the ledger's version whenever it changes (server-sent events)."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        transport = request.transport
        while transport is not None and not transport.is_closing():
            version = self._ledger.version
            await response.write(f"data: {version}\n\n".encode())
            await self._changed(lambda seen=version: self._ledger.version != seen)
        return response

    async def attachment(self, request: web.Request) -> web.Response:
        """Return an attachment's bytes; what is no picture is downloaded, never shown."""
        match = request.match_info
        message = self._ledger.find(match["message_id"])
        held = message.attachments if message else ()
        found = next((one for one in held if one.id == match["attachment_id"]), None)
        if found is None:
            raise web.HTTPNotFound(text="This content is no longer available.")
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
        if not found.content_type.startswith("image/"):
            headers["Content-Disposition"] = "attachment"
        return web.Response(body=found.data, content_type=found.content_type, headers=headers)

    def render(self) -> str:
        """Return all messages as HTML, oldest first."""
        shown = [self._message(message) for message in self._ledger.messages]
        return "\n".join(shown) or '<p class="empty">No messages yet. Press the shutter.</p>'

    async def _changed(self, has_changed: Callable[[], bool]) -> None:
        try:
            await self._ledger.wait_until(has_changed, timeout_ms=_KEEPALIVE_MS)
        except TimeoutError:
            await asyncio.sleep(0)

    def _message(self, message: Message) -> str:
        urls = {f"attachment://{one.filename}": self._path(message, one) for one in message.attachments}
        embeds = [resolve(embed, urls) for embed in message.embeds]
        used = {media["url"] for embed in embeds for media in _media(embed)}
        loose = [one for one in message.attachments if self._path(message, one) not in used]
        name = message.payload.get("username") or "Aperture"
        edited = ' <span class="edited">(edited)</span>' if message.edited_at_ms else ""
        return (
            f'<article class="message" id="m{message.id}"><div class="avatar" aria-hidden="true">◉</div><div>'
            f'<header><b>{escape(name)}</b> <span class="tag">APP</span> {_time(message.created_at_ms // 1000, "f")}'
            f"</header>{_content(message)}{edited}"
            f"{''.join(_embed(embed) for embed in embeds)}"
            f"{''.join(self._attachment(message, one) for one in loose)}</div></article>"
        )

    def _attachment(self, message: Message, attachment: Attachment) -> str:
        path, label = self._path(message, attachment), escape(attachment.description or attachment.filename)
        if attachment.content_type.startswith("image/"):
            return f'<a href="{path}"><img loading="lazy" src="{path}" alt="{label}"></a>'
        return f'<p class="file"><a href="{path}">{label}</a> {len(attachment.data)} bytes</p>'

    def _path(self, message: Message, attachment: Attachment) -> str:
        url = self._api.attachment_url(message, attachment)
        return url[url.index("/attachments/") :]


def _content(message: Message) -> str:
    content = message.payload.get("content")
    return f"<p>{markdown(content)}</p>" if content else ""


def _media(embed: dict[str, Any]) -> list[dict[str, Any]]:
    return [embed[place] for place in ("image", "thumbnail") if embed.get(place)]


def _embed(embed: dict[str, Any]) -> str:
    colour = f"#{embed.get('color') or 0x1E1F22:06x}"
    pictures = "".join(f'<a href="{src}"><img loading="lazy" src="{src}" alt=""></a>' for src in _sources(embed))
    return (
        f'<section class="embed" style="border-color:{colour}">{_author(embed)}{_title(embed)}'
        f"{_described(embed)}{_fields(embed)}{pictures}{_footer(embed)}</section>"
    )


def _sources(embed: dict[str, Any]) -> list[str]:
    return [escape(media["url"]) for media in _media(embed) if media["url"].startswith("/attachments/")]


def _author(embed: dict[str, Any]) -> str:
    author = embed.get("author")
    return f'<p class="author">{escape(author["name"])}</p>' if author else ""


def _title(embed: dict[str, Any]) -> str:
    title, url = embed.get("title"), embed.get("url") or ""
    if not title:
        return ""
    shown = markdown(title)
    if url.startswith(("http://", "https://")):
        shown = f'<a href="{escape(url)}" rel="noreferrer">{shown}</a>'
    return f"<h2>{shown}</h2>"


def _described(embed: dict[str, Any]) -> str:
    text = embed.get("description")
    return f"<p>{markdown(text)}</p>" if text else ""


def _fields(embed: dict[str, Any]) -> str:
    fields: list[dict[str, Any]] = embed.get("fields") or []
    cells = "".join(
        f'<div class="{"inline" if field.get("inline") else "wide"}"><dt>{markdown(field["name"])}</dt>'
        f"<dd>{markdown(field['value'])}</dd></div>"
        for field in fields
    )
    return f"<dl>{cells}</dl>" if cells else ""


def _footer(embed: dict[str, Any]) -> str:
    footer: dict[str, Any] = embed.get("footer") or {}
    text = footer.get("text")
    when = embed.get("timestamp")
    parts = [escape(text)] if text else []
    if when:
        parts.append(_moment(when))
    return f"<footer>{' • '.join(parts)}</footer>" if parts else ""


def _moment(iso: str) -> str:
    try:
        return _time(int(datetime.fromisoformat(iso).timestamp()), "f")
    except ValueError:
        return escape(iso)


def _time(unix_s: int, style: str) -> str:
    try:
        shown = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        shown = str(unix_s)
    return f'<time data-unix="{unix_s}" data-style="{style}">{shown}</time>'


def markdown(text: str) -> str:
    """Return the small part of Discord's Markdown that posts use, as HTML; the rest stays text."""
    shown: list[str] = []
    end = 0
    for match in _MARKDOWN.finditer(text):
        shown += [escape(text[end : match.start()]), _token(match)]
        end = match.end()
    return "".join([*shown, escape(text[end:])]).replace("\n", "<br>")


def _token(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "literal":
            return escape(match["literal"])
        case "unix" | "style":
            return _time(int(match["unix"]), match["style"] or "f")
        case "bold":
            return f"<b>{markdown(match['bold'])}</b>"
        case "code":
            return f"<code>{escape(match['code'])}</code>"
        case _:
            return f'<a href="{escape(match["link"])}" rel="noreferrer">{markdown(match["label"])}</a>'
