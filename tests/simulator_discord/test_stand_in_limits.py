"""The stand-in limits as Discord does: by headers per webhook, and beside them per channel and for all."""

import pytest

from simulator.discord.limits import Limits, RateLimiter
from simulator.discord.refusals import Refusal
from simulator.discord.stand_in import DiscordStandIn

ONE = {"content": "hello"}


class Clock:
    def __init__(self):
        self.now_ms = 1_000_000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


def limiter(clock, **limits):
    off = {"webhook_requests": 0, "channel_requests": 0, "global_requests": 0}
    return RateLimiter(Limits(**(off | limits)), clock_ms=clock, wall_ms=clock)


def test_five_in_two_seconds_per_webhook_and_route(clock):
    limits = limiter(clock, webhook_requests=5)
    for used in range(1, 6):
        headers = limits.take(route="POST", webhook_id="1", channel_id="9")
        assert headers["X-RateLimit-Remaining"] == str(5 - used)
        assert headers["X-RateLimit-Limit"] == "5"
        assert headers["X-RateLimit-Reset-After"] == "2.000"
    clock.now_ms += 500
    with pytest.raises(Refusal) as refused:
        limits.take(route="POST", webhook_id="1", channel_id="9")
    assert refused.value.status == 429
    assert refused.value.body == {"message": "You are being rate limited.", "retry_after": 1.5, "global": False}
    assert refused.value.headers["Retry-After"] == "2"
    assert refused.value.headers["X-RateLimit-Scope"] == "user"
    limits.take(route="PATCH", webhook_id="1", channel_id=None)
    limits.take(route="POST", webhook_id="2", channel_id="9")
    clock.now_ms += 1500
    limits.take(route="POST", webhook_id="1", channel_id="9")


def test_thirty_a_minute_per_channel_are_not_in_the_headers(clock):
    limits = limiter(clock, webhook_requests=5, channel_requests=30)
    for _ in range(30):
        clock.now_ms += 700
        limits.take(route="POST", webhook_id="1", channel_id="9")
    clock.now_ms += 2_000
    with pytest.raises(Refusal) as refused:
        limits.take(route="POST", webhook_id="2", channel_id="9")
    assert refused.value.headers["X-RateLimit-Remaining"] == "4"
    assert refused.value.headers["X-RateLimit-Scope"] == "shared"
    assert refused.value.body["retry_after"] > 30
    limits.take(route="POST", webhook_id="2", channel_id="8")


def test_fifty_a_second_over_all(clock):
    limits = limiter(clock, global_requests=50)
    for number in range(50):
        limits.take(route="POST", webhook_id=str(number), channel_id=str(number))
    with pytest.raises(Refusal) as refused:
        limits.take(route="POST", webhook_id="x", channel_id="x")
    assert refused.value.body["global"] is True
    assert refused.value.headers["X-RateLimit-Global"] == "true"


async def test_over_http_the_sixth_is_a_429_and_no_message(post):
    async with DiscordStandIn(limits=Limits(webhook_window_ms=60_000)) as discord:
        answers = [await post(ONE, stand_in=discord) for _ in range(6)]
        assert [status for status, _, _ in answers] == [200] * 5 + [429]
        assert [headers["X-RateLimit-Remaining"] for _, _, headers in answers] == ["4", "3", "2", "1", "0", "0"]
        assert answers[5][1]["retry_after"] > 0
        assert discord.message_total == 5


async def test_switched_off_there_are_no_headers(post):
    _, _, headers = await post(ONE)
    assert not [name for name in headers if name.lower().startswith("x-ratelimit")]
