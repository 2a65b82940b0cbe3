"""Each misbehaviour does what it says, as often as it was told, and leaves the message where it says."""

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from simulator.discord.faults import Fault, FaultKind

ONE = {"content": "hello"}


def order(discord, kind, **more):
    discord.misbehave(Fault(kind=kind, **more))


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_rate_limit(post, discord, scope):
    order(discord, "rate_limit", retry_after_ms=1500, scope=scope)
    status, body, headers = await post(ONE)
    assert (status, body["retry_after"], body["global"]) == (429, 1.5, scope == "global")
    assert (headers["Retry-After"], headers["X-RateLimit-Scope"]) == ("2", scope)
    assert discord.messages == []
    assert (await post(ONE))[0] == 200


async def test_cloudflare_is_html_without_via(post, discord):
    order(discord, "cloudflare", retry_after_ms=60_000)
    status, body, headers = await post(ONE)
    assert (status, "Via" in headers, headers["Retry-After"]) == (429, False, "60")
    assert body.startswith("<!doctype html>")
    assert discord.messages == []


@pytest.mark.parametrize(("status", "code"), [(400, 50035), (401, 50027), (403, 50013), (404, 10015), (413, 40005)])
async def test_refuse_with_any_status_and_code(post, discord, status, code):
    order(discord, "refuse", status=status, code=code, message="no")
    got, body, _ = await post(ONE)
    assert (got, body) == (status, {"message": "no", "code": code})
    assert discord.messages == []


async def test_fail_before_leaves_no_message_and_fail_after_one(post, discord):
    order(discord, "fail_before")
    order(discord, "fail_after")
    assert (await post(ONE))[0] == 503
    assert discord.messages == []
    assert (await post(ONE))[0] == 502
    assert len(discord.messages) == 1


@pytest.mark.parametrize(("kind", "accepted"), [("lose_reply", 1), ("cut_reply", 1), ("reset", 0)])
async def test_no_whole_reply(post, discord, kind, accepted):
    order(discord, kind)
    with pytest.raises(aiohttp.ClientError):
        await post(ONE)
    await discord.wait_for_requests(1)
    assert (len(discord.messages), discord.requests[0].status) == (accepted, None)
    assert (await post(ONE))[0] == 200


async def test_stall_never_reads_the_body(post, discord):
    order(discord, "stall", delay_ms=30)
    with pytest.raises(aiohttp.ClientError):
        await post(ONE, files={0: ("a.jpg", bytes(9_000_000))})
    assert discord.requests[0].received_ns is None
    assert discord.messages == []


async def test_delay_answers_late_but_accepts_at_once(post, discord):
    order(discord, "delay", delay_ms=150)
    sending = asyncio.create_task(post(ONE))
    await discord.wait_for_messages(1)
    assert not sending.done()
    assert (await sending)[0] == 200


async def test_orders_are_for_a_number_of_requests_a_method_and_a_webhook(post, discord, http):
    other = discord.webhooks.add()
    order(discord, "fail_before", times=2, webhook_id=other.id)
    async with http.get(f"{discord.api_base}/webhooks/{other.id}/{other.token}") as answer:
        assert answer.status == 200
    assert (await post(ONE))[0] == 200
    assert [(await post(ONE, webhook=other))[0] for _ in range(3)] == [503, 503, 200]
    order(discord, "refuse", times=None, status=403)
    assert [(await post(ONE))[0] for _ in range(3)] == [403] * 3
    discord.heal()
    assert (await post(ONE))[0] == 200


async def test_down_refuses_connections_on_the_same_port(post, discord):
    port = discord.port
    await post(ONE)
    await discord.go_down()
    with pytest.raises(aiohttp.ClientError):  # the kept-alive connection, or a new one
        await post(ONE)
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(ONE)
    await discord.come_back()
    assert discord.port == port
    assert (await post(ONE))[0] == 200
    assert discord.message_total == 2


def test_every_kind_of_fault_is_tried_here():
    """A new kind without a test of its own is noticed."""
    assert {str(kind) for kind in FaultKind} == {
        *("rate_limit", "cloudflare", "refuse", "fail_before", "reset", "stall"),
        *("fail_after", "lose_reply", "cut_reply", "delay"),
    }


async def test_the_kept_is_bounded_and_the_totals_go_on(post, discord):
    discord._ledger._max_messages = 3
    discord._ledger._max_bytes = 1500
    for number in range(5):
        await post({"content": str(number)})
    assert [message.payload["content"] for message in discord.messages] == ["2", "3", "4"]
    await post(ONE, files={0: ("a.jpg", bytes(1000))})
    await post(ONE, files={0: ("b.jpg", bytes(1000))})
    assert [message.attachments[0].filename for message in discord.messages] == ["b.jpg"]
    assert discord.message_total == 7
    discord.forget()
    assert (discord.messages, discord.requests, discord.message_total) == ([], [], 7)


async def test_waiting_for_what_does_not_come_ends(discord):
    with pytest.raises(TimeoutError):
        await discord.wait_for_messages(1, timeout=0.02)


class Control:
    def __init__(self, url, http):
        self._url = f"{url}/_control"
        self._http = http

    async def order(self, **order):
        async with self._http.post(self._url, json=order) as answer:
            return answer.status, await answer.json()

    async def tell(self, since=0):
        async with self._http.get(self._url, params={"since": since}) as answer:
            return answer.status, await answer.json()


async def test_control_orders_and_tells_over_http(post, discord, http):
    control = Control(discord.url, http)
    assert (await control.order(do="misbehave", fault={"kind": "fail_after", "times": 9}))[0] == 200
    assert (await post(ONE))[0] == 502
    assert (await control.order(do="heal"))[0] == 200
    assert (await post(ONE))[0] == 200
    _, seen = await control.tell(since=1)
    assert seen["messages"] == 2
    assert [(one["number"], one["status"]) for one in seen["requests"]] == [(2, 200)]
    assert seen["requests"][0]["received_ns"] > 0
    _, made = await control.order(do="add_webhook", threads=1)
    webhook_id = made["webhook_url"].split("/")[5]
    assert len(made["threads"]) == 1
    _, rotated = await control.order(do="rotate_token", webhook_id=webhook_id)
    assert rotated["webhook_url"] != made["webhook_url"]
    assert (await control.order(do="delete_webhook", webhook_id=webhook_id))[0] == 200
    assert (await control.order(do="delete_webhook", webhook_id=webhook_id))[0] == 404
    assert (await control.order(do="forget"))[0] == 200
    assert (await control.tell())[1]["requests"] == []


async def test_control_refuses_what_is_no_order(discord, http):
    control = Control(discord.url, http)
    assert (await control.order(do="explode"))[0] == 400
    assert (await control.tell(since="x"))[0] == 400
    async with http.post(
        f"{discord.url}/_control", data=b'{"do":"heal"}', headers={"Content-Type": "text/plain"}
    ) as no:
        assert no.status == 415


async def test_down_by_control_comes_back_by_itself(post, discord, http):
    control = Control(discord.url, http)
    with contextlib.suppress(aiohttp.ClientError):
        await control.order(do="down", for_ms=80)
    refused = 0
    async with asyncio.timeout(5):
        while True:
            try:
                status, _, _ = await post(ONE)
            except aiohttp.ClientError:
                refused += 1
                await asyncio.sleep(0.01)
                continue
            break
    assert (status, refused > 0) == (200, True)


async def test_down_leaves_no_connection_behind(discord, http, post):
    """Idle, in the middle of a request, stalled, or not yet accepted: what belongs to a test ends with it."""
    _, message, _ = await post(ONE, files={0: ("big.jpg", bytes(6_000_000))})
    picture = urlsplit(message["attachments"][0]["url"])
    discord.misbehave(Fault(kind=FaultKind.STALL, delay_ms=60_000))
    stalled = asyncio.create_task(post(ONE))
    async with asyncio.timeout(5):
        while len(discord.requests) < 2:  # noqa: ASYNC110 - a stalled one tells nobody
            await asyncio.sleep(0.01)
    await http.get(f"{discord.url}/_control")
    port = discord.port
    writers = []
    unread = f"GET {picture.path}?{picture.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for sent in (unread, b"", b"POST /api/v10/webhooks/1/x HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.transport.pause_reading()
        writers.append(writer)
    await asyncio.sleep(0.1)  # the stand-in has sent as much of it as fits
    with socket.create_connection(("127.0.0.1", port)):  # in the kernel's backlog: the loop has had no turn since
        await discord.go_down()
        left = [one for one in psutil.Process().net_connections() if one.laddr.port == port and one.fd != -1]
        assert [one.status for one in left if one.status != psutil.CONN_NONE] == []
    await asyncio.gather(stalled, return_exceptions=True)
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)
