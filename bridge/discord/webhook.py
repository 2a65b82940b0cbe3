"""A webhook's address: id, token and thread, read from the URL as Discord gives it."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from bridge.discord.errors import WebhookUrlError

DISCORD_API_BASE: Final = "https://discord.com/api/v10"

_HOSTS = frozenset(
    f"{prefix}{host}" for prefix in ("", "ptb.", "canary.") for host in ("discord.com", "discordapp.com")
)
_PATH = re.compile(r"/api(?:/v[0-9]{1,2})?/webhooks/([0-9]{1,20})/([A-Za-z0-9_-]{1,200})/?")
_ID = re.compile(r"[0-9]{1,20}")
_EXPECTED = "expected https://discord.com/api/webhooks/ID/TOKEN, as Discord's “Copy Webhook URL” gives it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook, and the thread in its channel to post to, if any."""

    id: str
    token: SecretStr
    thread_id: str | None = None

    @property
    def target(self) -> str:
        """Its name as a destination in the rows, like `discord:<webhook id>`: it holds no secret."""
        return f"discord:{self.id}" + (f":{self.thread_id}" if self.thread_id else "")


def parse_webhook_url(url: str | SecretStr, *, api_base: str = DISCORD_API_BASE) -> Webhook:
    """Return the webhook that `url` names.

    Discord's own hosts are taken (also ptb. and canary.), and that of `api_base`; the version in the path, if any, does
    not matter, for it is `api_base` that is called.

    Raises:
        WebhookUrlError: it is none; the words tell what is wrong and never repeat the URL, for it is a secret.
    """
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    try:
        parts = urlsplit(text.strip())
        host, own_host = parts.hostname or "", urlsplit(api_base).hostname
    except ValueError:
        raise WebhookUrlError(f"The webhook's URL can't be read: {_EXPECTED}") from None
    if parts.scheme not in ("https", "http") or not host:
        raise WebhookUrlError(f"The webhook's URL doesn't begin with https://: {_EXPECTED}")
    if host not in _HOSTS and host != own_host:
        raise WebhookUrlError(f"The webhook's URL is on {host!r}, which is not Discord: {_EXPECTED}")
    match = _PATH.fullmatch(parts.path)
    if not match:
        raise WebhookUrlError(f"The webhook's URL has no id and token in its path: {_EXPECTED}")
    return Webhook(id=match[1], token=SecretStr(match[2]), thread_id=_thread_id(parts.query))


def _thread_id(query: str) -> str | None:
    given = parse_qs(query, keep_blank_values=True)
    thread_id = given.get("thread_id", [None])[-1]
    if thread_id is not None and not _ID.fullmatch(thread_id):
        raise WebhookUrlError("The webhook's URL has a thread_id that is not a number: copy the thread's id")
    return thread_id
