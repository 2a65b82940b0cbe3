"""Discord's webhook endpoints (API v10): execute, get, and get, edit and delete of one's own messages."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from simulator.discord.exchange import Endpoint, Exchange, Exchanges, Handler, json_response
from simulator.discord.ledger import Attachment, Ledger, Message, Snowflakes, sha256_hex, wall_ms
from simulator.discord.multipart import Submission, parse
from simulator.discord.refusals import invalid_form, unknown_message
from simulator.discord.rules import MessageCreate, MessageEdit, check

PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png", b"GIF8": "image/gif", b"RIFF": "image/webp"}
"""First bytes and what they are: the name and the client's word are not believed."""

_WEBHOOK = "/api/v10/webhooks/{webhook_id}/{token}"


class WebhookApi:
    """The endpoints; `base_url` is where the stand-in's own attachments are served."""

    def __init__(self, *, exchanges: Exchanges, ledger: Ledger, ids: Snowflakes, base_url: str) -> None:
        self._exchanges = exchanges
        self._ledger = ledger
        self._ids = ids
        self._base_url = base_url

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        message = f"{_WEBHOOK}/messages/{{message_id}}"
        app.router.add_post(_WEBHOOK, self._handler(self.execute))
        app.router.add_get(_WEBHOOK, self._handler(self.get_webhook), allow_head=False)
        app.router.add_get(message, self._handler(self.get_message), allow_head=False)
        app.router.add_patch(message, self._handler(self.edit_message))
        app.router.add_delete(message, self._handler(self.delete_message))

    def _handler(self, endpoint: Endpoint) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._exchanges.run(request, endpoint)

        return handle

    def execute(self, exchange: Exchange) -> web.Response:
        """Execute Webhook: 200 with the message for `wait=true`, else 204."""
        wait = _boolean(exchange, "wait")
        sent = _submission(exchange)
        checked = check(MessageCreate, sent.payload, sent.names())
        channel_id = exchange.webhook.channel_for(exchange.thread_id, checked.thread_name, self._ids)
        message = Message(
            id=self._ids.next(),
            webhook_id=exchange.webhook.id,
            channel_id=channel_id,
            payload=sent.payload,
            attachments=self._attachments(sent),
            received_ns=exchange.record.received_ns or 0,
            created_at_ms=wall_ms(),
        )
        exchange.record.sha256 = tuple(attachment.sha256 for attachment in message.attachments)
        exchange.record.message_id = message.id
        self._ledger.add(message)
        return json_response(self.message_json(message)) if wait else web.Response(status=204)

    def get_webhook(self, exchange: Exchange) -> web.Response:
        """Get Webhook with Token."""
        webhook = exchange.webhook
        body = {"id": webhook.id, "type": 1, "name": webhook.name, "avatar": None, "channel_id": webhook.channel_id}
        return json_response(body | {"guild_id": "1", "application_id": None, "token": webhook.token})

    def get_message(self, exchange: Exchange) -> web.Response:
        """Get Webhook Message."""
        return json_response(self.message_json(self._own_message(exchange)))

    def edit_message(self, exchange: Exchange) -> web.Response:
        """Edit Webhook Message: what is given replaces what was; `attachments` lists the kept and the new."""
        message = self._own_message(exchange)
        sent = _submission(exchange)
        checked = check(MessageEdit, sent.payload, sent.names() | _names(message))
        listed = None if checked.attachments is None else {entry.id for entry in checked.attachments}
        old = tuple(one for one in message.attachments if listed is None or one.id in listed)
        edited = replace(
            message,
            payload=message.payload | sent.payload,
            attachments=old + self._attachments(sent),
            edited_at_ms=wall_ms(),
        )
        self._ledger.replace(edited)
        return json_response(self.message_json(edited))

    def delete_message(self, exchange: Exchange) -> web.Response:
        """Delete Webhook Message."""
        self._ledger.remove(self._own_message(exchange).id)
        return web.Response(status=204)

    def message_json(self, message: Message) -> dict[str, Any]:
        """Return the message object that Discord answers with."""
        urls = {f"attachment://{one.filename}": self.attachment_url(message, one) for one in message.attachments}
        return {
            "id": message.id,
            "type": 0,
            "content": message.payload.get("content") or "",
            "channel_id": message.channel_id,
            "webhook_id": message.webhook_id,
            "author": {"id": message.webhook_id, "username": "Aperture", "bot": True, "discriminator": "0000"},
            "attachments": [self._attachment_json(message, one) for one in message.attachments],
            "embeds": [resolve(embed, urls) | {"type": "rich"} for embed in message.embeds],
            "components": message.payload.get("components") or [],
            "flags": message.payload.get("flags") or 0,
            "mentions": [],
            "mention_roles": [],
            "mention_everyone": False,
            "pinned": False,
            "tts": bool(message.payload.get("tts")),
            "timestamp": _iso(message.created_at_ms),
            "edited_timestamp": _iso(message.edited_at_ms) if message.edited_at_ms else None,
        }

    def attachment_url(self, message: Message, attachment: Attachment) -> str:
        """Return where the stand-in serves an attachment."""
        return f"{self._base_url}/attachments/{message.id}/{attachment.id}/{quote(attachment.filename, safe='')}"

    def _attachment_json(self, message: Message, attachment: Attachment) -> dict[str, Any]:
        url = self.attachment_url(message, attachment)
        return {
            "id": attachment.id,
            "filename": attachment.filename,
            "size": len(attachment.data),
            "url": url,
            "proxy_url": url,
            "content_type": attachment.content_type,
            **({"description": attachment.description} if attachment.description else {}),
        }

    def _own_message(self, exchange: Exchange) -> Message:
        channel_id = exchange.webhook.channel_of(exchange.thread_id)
        message = self._ledger.find(exchange.request.match_info["message_id"])
        if message is None or (message.webhook_id, message.channel_id) != (exchange.webhook.id, channel_id):
            raise unknown_message()
        return message

    def _attachments(self, sent: Submission) -> tuple[Attachment, ...]:
        listed: list[dict[str, Any]] = sent.payload.get("attachments") or []
        descriptions = {int(entry["id"]): entry.get("description") for entry in listed}
        return tuple(
            Attachment(
                id=self._ids.next(),
                filename=file.name,
                content_type=sniff(file.data),
                description=descriptions.get(index),
                sha256=sha256_hex(file.data),
                data=file.data,
            )
            for index, file in sorted(sent.files.items())
        )


def resolve(embed: dict[str, Any], urls: dict[str, str]) -> dict[str, Any]:
    """Return the embed with `attachment://…` replaced by the attachments' URLs."""
    shown = dict(embed)
    for place in ("image", "thumbnail"):
        media = shown.get(place)
        if media:
            shown[place] = media | {"url": urls.get(media["url"], media["url"])}
    return shown


def sniff(data: bytes) -> str:
    """Return the type of a picture by its first bytes, else `application/octet-stream`."""
    return next((kind for magic, kind in PICTURES.items() if data.startswith(magic)), "application/octet-stream")


def _submission(exchange: Exchange) -> Submission:
    return parse(exchange.request.headers.get("Content-Type", ""), exchange.body)


def _names(message: Message) -> dict[int, str]:
    return {int(attachment.id): attachment.filename for attachment in message.attachments}


def _boolean(exchange: Exchange, name: str) -> bool:
    text = exchange.request.query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise invalid_form((name,), "BOOLEAN_TYPE_CONVERT", f'Value "{text[:20]}" is not a boolean.')
    return text in ("true", "1")


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="microseconds")
