"""A webhook's URL is read as Discord gives it; what is none gets words that don't repeat the secret."""

import pytest
from pydantic import SecretStr

from bridge.discord import parse_webhook_url
from bridge.discord.errors import DiscordError, WebhookUrlError

TOKEN = "tOk-en_" * 9


@pytest.mark.parametrize(
    "base",
    [
        "https://discord.com/api",
        "https://discord.com/api/v10",
        "https://ptb.discord.com/api",
        "https://canary.discord.com/api/v9",
        "https://discordapp.com/api",
        " https://Discord.com:443/api",
    ],
)
def test_discords_own_forms(base):
    webhook = parse_webhook_url(f"{base}/webhooks/123456789012345678/{TOKEN}/")
    assert (webhook.id, webhook.thread_id) == ("123456789012345678", None)
    assert webhook.token.get_secret_value() == TOKEN
    assert TOKEN not in repr(webhook)


def test_a_thread_and_a_secret():
    webhook = parse_webhook_url(SecretStr(f"https://discord.com/api/webhooks/1/{TOKEN}?wait=true&thread_id=77"))
    assert webhook.thread_id == "77"


def test_the_host_of_api_base_is_taken_too():
    url = f"http://127.0.0.1:8080/api/v10/webhooks/1/{TOKEN}"
    assert parse_webhook_url(url, api_base="http://127.0.0.1:9/api/v10").id == "1"
    with pytest.raises(WebhookUrlError, match="not Discord"):
        parse_webhook_url(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "https://"),
        (f"discord.com/api/webhooks/1/{TOKEN}", "https://"),
        (f"https://hooks.example.org/api/webhooks/1/{TOKEN}", "not Discord"),
        (f"https://discord.com.evil.example/api/webhooks/1/{TOKEN}", "not Discord"),
        (f"https://discord.com/webhooks/1/{TOKEN}", "no id and token"),
        (f"https://discord.com/api/webhooks/front/{TOKEN}", "no id and token"),
        ("https://discord.com/api/webhooks/1", "no id and token"),
        (f"https://discord.com/api/webhooks/1/{TOKEN}/github", "no id and token"),
        (f"https://discord.com/api/webhooks/1/{TOKEN}?thread_id=general", "thread_id"),
        (f"https://[discord.com/api/webhooks/1/{TOKEN}", "can't be read"),
    ],
)
def test_what_is_wrong_is_told_without_the_token(url, words):
    with pytest.raises(DiscordError, match=words) as refused:
        parse_webhook_url(url)
    assert TOKEN not in str(refused.value)
    assert refused.value.__cause__ is None
