"""Every answer that can come has one meaning, and none of them is an exception."""

import orjson
import pytest

from bridge.discord.outcomes import (
    Answer,
    Deleted,
    Found,
    Parked,
    Posted,
    RateLimited,
    Rejected,
    Scope,
    Unknown,
    Unreachable,
    classify,
)

JSON = {"Content-Type": "application/json", "Via": "1.1 google"}
LIMITED = {"message": "You are being rate limited.", "retry_after": 1.2, "global": False}


def said(status, body=b"", headers=None, method="POST"):
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return classify(Answer(status=status, headers=JSON if headers is None else headers, body=data), method)


def test_success():
    body = {"id": "5", "channel_id": "6", "attachments": [{"id": "7"}]}
    assert said(200, body) == Posted("5", "6", ("7",))
    assert said(200, {"id": "5", "channel_id": 6, "attachments": "odd"}) == Posted("5", None)
    assert said(204) == Posted(None, None)
    assert said(204, method="DELETE") == Deleted()
    assert said(200, {"id": "1", "channel_id": "6", "name": "n"}, method="GET") == Found("6", "n")


def test_a_200_cut_off_is_posted_but_a_strangers_200_is_not():
    assert said(200, b'{"id": "5", "chan') == Posted(None, None)
    assert isinstance(said(200, b"<html>welcome to our hotel", {"Content-Type": "text/html"}), Unknown)
    assert isinstance(said(200, b"", {}, "GET"), Unknown)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (JSON | {"Retry-After": "2"}, LIMITED, RateLimited(2000, Scope.USER)),
        (JSON | {"Retry-After": "1"}, LIMITED, RateLimited(1200, Scope.USER)),
        (JSON | {"X-RateLimit-Scope": "shared"}, LIMITED, RateLimited(1200, Scope.SHARED)),
        (JSON | {"X-RateLimit-Remaining": "4"}, LIMITED, RateLimited(1200, Scope.USER, jumped=True)),
        (JSON | {"X-RateLimit-Scope": "global"}, LIMITED, RateLimited(1200, Scope.GLOBAL)),
        (JSON | {"X-RateLimit-Global": "true"}, LIMITED, RateLimited(1200, Scope.GLOBAL)),
        (JSON, LIMITED | {"global": True}, RateLimited(1200, Scope.GLOBAL)),
        ({"Retry-After": "60"}, b"<html>", RateLimited(60_000, Scope.CLOUDFLARE)),
        ({}, {"message": "blocked", "code": 0}, RateLimited(0, Scope.CLOUDFLARE)),
        (JSON | {"Retry-After": "soon"}, b"", RateLimited(0, Scope.CLOUDFLARE)),
        (JSON, LIMITED | {"retry_after": 1e300}, RateLimited(24 * 3_600_000, Scope.USER)),
        (JSON, LIMITED | {"retry_after": -5}, RateLimited(0, Scope.USER)),
    ],
)
def test_429(headers, body, expected):
    assert said(429, body, headers) == expected


def test_infinite_waits_are_no_waits():
    assert said(429, LIMITED, JSON | {"Retry-After": "inf"}) == RateLimited(1200, Scope.USER)
    assert said(429, LIMITED, JSON | {"Retry-After": "nan"}) == RateLimited(1200, Scope.USER)


@pytest.mark.parametrize(("status", "code"), [(401, 50027), (403, 50013), (404, 10015), (404, 10003)])
def test_a_webhook_that_refuses_us_is_parked(status, code):
    outcome = said(status, {"message": "no", "code": code})
    assert outcome == Parked(f"HTTP {status}: no", status, code)
    assert isinstance(said(status, b"", {}), Parked)


def test_a_403_of_the_edge_parks_nothing():
    assert said(403, {"message": "internal network error", "code": 40333}) == RateLimited(0, Scope.CLOUDFLARE)
    page = {"Content-Type": "text/html; charset=UTF-8", "Server": "cloudflare"}
    assert said(403, b"<html>", page) == RateLimited(0, Scope.CLOUDFLARE)


def test_a_message_that_somebody_deleted():
    assert said(404, {"message": "Unknown Message", "code": 10008}, method="PATCH") == Deleted()


def test_rejections_say_what_is_wrong_and_where():
    errors = {"embeds": {"0": {"title": {"_errors": [{"code": "X", "message": "Too long"}, "odd"]}}}}
    outcome = said(400, {"message": "Invalid Form Body", "code": 50035, "errors": errors})
    assert outcome == Rejected("HTTP 400: Invalid Form Body: embeds.0.title: Too long", 400, 50035)
    large = said(413, {"message": "Request entity too large", "code": 40005})
    assert isinstance(large, Rejected)
    assert large.is_too_large
    assert len(said(400, {"message": "x" * 10_000}).error) == 300
    assert isinstance(said(415, b"?"), Rejected)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408])
def test_5xx_is_unknown(status):
    assert isinstance(said(status, b"upstream connect error", {}), Unknown)


def test_a_redirect_was_never_discord():
    assert isinstance(said(302, b"", {"Location": "https://hotel.example/login"}), Unreachable)
