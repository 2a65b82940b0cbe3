"""The webhooks that exist, and the channels and threads that they post to."""

import hmac
import secrets
from dataclasses import dataclass, field

from simulator.discord.ledger import Snowflakes
from simulator.discord.refusals import (
    Refusal,
    invalid_form,
    invalid_token,
    unknown_channel,
    unknown_webhook,
)

WEBHOOK_URL_BASE = "https://discord.com/api/webhooks"


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One webhook. `forum` channels take messages in threads only."""

    id: str
    token: str = field(repr=False)
    channel_id: str
    name: str = "Aperture"
    forum: bool = False
    threads: set[str] = field(default_factory=set[str])

    @property
    def url(self) -> str:
        """The URL as Discord's client shows it; where it is really called is the API base's business."""
        return f"{WEBHOOK_URL_BASE}/{self.id}/{self.token}"

    def channel_for(self, thread_id: str | None, thread_name: str | None, ids: Snowflakes) -> str:
        """Return the channel or thread that a new message goes to, opening a thread when it is named.

        Raises:
            Refusal: the thread does not exist, or a forum's rules are broken.
        """
        if thread_id and thread_name:
            both = "Webhooks posted to forum channels cannot have both a thread_name and thread_id"
            raise Refusal(400, 220002, both)
        if self.forum and not (thread_id or thread_name):
            neither = "Webhooks posted to forum channels must have a thread_name or thread_id"
            raise Refusal(400, 220001, neither)
        if thread_name:
            if not self.forum:
                raise Refusal(400, 220003, "Webhooks can only create threads in forum channels")
            thread_id = ids.next()
            self.threads.add(thread_id)
        return self.channel_of(thread_id)

    def channel_of(self, thread_id: str | None) -> str:
        """Return the id of the thread, or of the channel when there is none.

        Raises:
            Refusal: the thread does not exist.
        """
        if thread_id is None:
            return self.channel_id
        if thread_id not in self.threads:
            raise unknown_channel()
        return thread_id


class Webhooks:
    """All webhooks, by id."""

    def __init__(self, ids: Snowflakes) -> None:
        self._ids = ids
        self._webhooks: dict[str, Webhook] = {}

    def add(self, *, channel_id: str | None = None, forum: bool = False, threads: int = 0) -> Webhook:
        """Make a webhook, in a channel of its own unless one is given."""
        webhook = Webhook(
            id=self._ids.next(),
            token=secrets.token_urlsafe(51),
            channel_id=channel_id or self._ids.next(),
            forum=forum,
            threads={self._ids.next() for _ in range(threads)},
        )
        self._webhooks[webhook.id] = webhook
        return webhook

    def get(self, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            Refusal: 404, there is none of this id.
        """
        try:
            return self._webhooks[webhook_id]
        except KeyError:
            raise unknown_webhook() from None

    def authenticate(self, webhook_id: str, token: str) -> Webhook:
        """Return the webhook that this id and token open.

        Raises:
            Refusal: 400, 404 or 401, in the order in which Discord looks.
        """
        if not (webhook_id.isascii() and webhook_id.isdigit() and len(webhook_id) <= 20):  # noqa: PLR2004 - 64 bits
            words = f'Value "{webhook_id[:40]}" is not snowflake.'
            raise invalid_form(("webhook_id",), "NUMBER_TYPE_COERCE", words)
        webhook = self.get(webhook_id)
        if not hmac.compare_digest(webhook.token.encode(), token.encode()):
            raise invalid_token()
        return webhook

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook: from now on it answers 404 (10015)."""
        self.get(webhook_id)
        del self._webhooks[webhook_id]

    def rotate(self, webhook_id: str) -> Webhook:
        """Give a webhook a new token: the old one answers 401 (50027)."""
        webhook = self.get(webhook_id)
        webhook.token = secrets.token_urlsafe(51)
        return webhook
