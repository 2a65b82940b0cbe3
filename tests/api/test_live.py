import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest

from aperture.clock import now_ms
from aperture.store import accounts, events
from aperture.store.events import Kind


class Stream:
    """A bare socket that reads server-sent events, as a browser would: lines, and no library's buffering."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.last_id: int | None = None
        self.comments = 0

    async def event(self, timeout_s: float = 5) -> dict | None:
        """Return the next event's data, None at the end of the stream."""
        data = None
        async with asyncio.timeout(timeout_s):
            while line := await self.reader.readline():
                text = line.decode().rstrip("\r\n")
                name, _, value = text.partition(": ")
                if name == "id":
                    self.last_id = int(value)
                elif name == "data":
                    data = json.loads(value)
                elif text.startswith(":"):
                    self.comments += 1
                elif text == "" and data is not None:
                    return data
        return None

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(5):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = raw.decode().split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines if line)


@asynccontextmanager
async def _stream(archive, path: str = "/api/v1/events", who: str = "reader", **headers: str):
    reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
    lines = [f"GET {path} HTTP/1.0", f"Authorization: Bearer {archive.secrets[who]}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        yield Stream(reader, writer)
    finally:
        writer.close()


def _tell(archive, count: int = 1, *, camera: str = "cam", hint: bool = True) -> list[int]:
    def work(connection):
        for _ in range(count):
            events.append(connection, Kind.CAMERA_STATUS, at_ms=now_ms(), camera=camera, body={"queue": 1})
        return events.last_id(connection)

    last = archive.database.write(work)
    if hint:
        archive.hints.wake()
    return list(range(last - count + 1, last + 1))


async def test_what_happens_is_told_at_once(archive):
    """Its head says how it is to be read; an event is there well before polling would find it."""
    async with _stream(archive) as stream:
        status, headers = await stream.head()
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        await stream.reader.readuntil(b"\n\n")
        (told,) = _tell(archive)
        began = time.monotonic()
        event = await stream.event()
        assert time.monotonic() - began < 0.2
        assert (event["id"], event["kind"], event["camera"], event["body"]) == (
            told, "camera.status", "cam", {"queue": 1},
        )  # fmt: skip
        assert stream.last_id == told


async def test_a_lost_hint_loses_nothing(archive):
    """Rows of another process come without any hint: polling finds them."""
    async with _stream(archive) as stream:
        await stream.head()
        for _ in range(3):
            (told,) = _tell(archive, hint=False)
            assert (await stream.event())["id"] == told


async def test_who_never_heard_an_event_can_still_come_back_to_the_right_place(archive):
    """The stream begins with the newest id: a reader that loses it before any event misses none of those after."""
    _tell(archive, 3)
    async with _stream(archive) as stream:
        await stream.head()
        start = await stream.reader.readuntil(b"\n\n")
        place = int(start.split(b"id: ")[1].split(b"\n")[0])
    told = _tell(archive, 2)
    async with _stream(archive, Last_Event_ID=str(place)) as stream:
        await stream.head()
        assert [(await stream.event())["id"] for _ in told] == told


async def test_a_long_absence_is_made_up_for_in_order(archive):
    """More events than are kept in memory or read at once, and more that happen during the replay."""
    told = _tell(archive, 2600)
    async with _stream(archive, Last_Event_ID=str(told[0] - 1)) as stream:
        await stream.head()
        told += _tell(archive, 30)
        assert [(await stream.event(10))["id"] for _ in told] == told


async def test_nothing_is_skipped_or_doubled_under_load(archive):
    """Readers that come, go and come back while four writers commit see each row once, in order."""
    first = archive.database.read(events.last_id)
    total = 400

    async def write():
        for _ in range(total // 4):
            await asyncio.to_thread(_tell, archive, 1, hint=False)

    async def follow(breaks: bool) -> list[int]:
        place, seen = first, []
        while len(seen) < total:
            async with _stream(archive, Last_Event_ID=str(place)) as stream:
                await stream.head()
                for _ in range(37 if breaks else total):
                    if len(seen) == total:
                        break
                    event = await stream.event(20)
                    seen.append(event["id"])
                    place = event["id"]
        return seen

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(follow(breaks)) for breaks in (True, False, True)]
        for _ in range(4):
            group.create_task(write())
    for reader in readers:
        assert reader.result() == list(range(first + 1, first + total + 1))


async def test_a_stream_may_be_of_one_camera_and_its_place_still_moves(archive, monkeypatch):
    """A quiet camera's reader comes back to where everyone is, not to hours of other cameras' events."""
    from api import live

    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.2)
    async with _stream(archive, "/api/v1/events?camera=cam") as stream:
        await stream.head()
        others = _tell(archive, 5, camera="other")
        with pytest.raises(TimeoutError):
            await stream.event(0.7)
        assert stream.comments >= 1
        assert stream.last_id == others[-1]
        (mine,) = _tell(archive)
        assert (await stream.event())["id"] == mine


async def test_silence_is_broken_now_and_then(archive, monkeypatch):
    """Also while other cameras chatter: a proxy would close a stream that says nothing."""
    from api import live

    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.1)
    async with _stream(archive, "/api/v1/events?camera=quiet") as stream:
        await stream.head()
        with pytest.raises(TimeoutError):
            await stream.event(0.6)
        assert 2 <= stream.comments <= 8


async def test_a_place_in_the_future_is_the_present(archive):
    """After a restored backup ids are lower than what a reader has: it goes on from now, it doesn't wait for ever."""
    async with _stream(archive, Last_Event_ID=str(10**12)) as stream:
        await stream.head()
        (told,) = _tell(archive)
        assert (await stream.event())["id"] == told


@pytest.mark.parametrize("place", ["-1", "x", "1.5", "9" * 30])
async def test_a_place_that_is_none_is_refused(archive, reader, place):
    answer = await reader.get("/api/v1/events", headers={"Last-Event-ID": place})
    assert answer.status_code == 422


async def test_a_revoked_token_hears_nothing_more(archive):
    async with _stream(archive) as stream:
        await stream.head()
        _tell(archive)
        assert await stream.event()
        archive.database.write(lambda one: accounts.revoke_token(one, name="a-reader", now_ms=now_ms()))
        await asyncio.sleep(0.6)  # as long as an answer about a token is kept
        _tell(archive)
        assert await stream.event() is None


async def test_readers_who_leave_are_forgotten(archive):
    """And the feed rests when nobody listens."""
    feed = archive.app.state.services.feed
    for _ in range(5):
        async with _stream(archive) as stream:
            await stream.head()
            await stream.reader.readuntil(b"\n\n")
            assert feed.readers == 1
        async with asyncio.timeout(5):
            while feed.readers:  # noqa: ASYNC110 - a socket's end is seen by the server when it is
                await asyncio.sleep(0.01)
    assert feed._task is None


async def test_too_many_streams_are_told_to_come_back(archive, reader, monkeypatch):
    from api import live

    monkeypatch.setattr(live, "MOST_STREAMS", 2)
    async with _stream(archive) as one, _stream(archive) as two:
        for stream in (one, two):
            await stream.head()
            await stream.reader.readuntil(b"\n\n")
        answer = await reader.get("/api/v1/events")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


async def test_a_store_that_fails_for_a_while_loses_no_event(archive, monkeypatch):
    """The stream stays open, and tells what was written meanwhile once the store answers again."""
    from aperture.store.errors import StoreUnavailableError
    from api import feed

    monkeypatch.setattr(feed, "_RETRY_S", 0.05)
    async with _stream(archive) as stream:
        await stream.head()
        _tell(archive)
        assert await stream.event()
        aread, failing = archive.database.aread, True

        async def fail(work):
            if failing:
                raise StoreUnavailableError("gone")
            return await aread(work)

        monkeypatch.setattr(archive.database, "aread", fail)
        told = _tell(archive, 3)
        await asyncio.sleep(0.2)
        failing = False
        assert [(await stream.event())["id"] for _ in told] == told


async def test_a_shutdown_ends_streams_cleanly_and_at_once(stopped, running):
    """A live stream doesn't hold the server back, and its reader sees an end, not a fault."""
    async with running(stopped) as server, _stream(stopped) as stream:
        await stream.head()
        began = time.monotonic()
        server.cancel()
        assert await stream.event() is None
        await asyncio.wait({server}, timeout=5)
        assert server.done()
        assert time.monotonic() - began < 2


async def test_a_reader_that_takes_nothing_takes_nothing_from_others(archive, jpeg):
    """Its socket fills up; everyone else hears on."""
    async with _stream(archive) as stuck, _stream(archive) as lively:
        await lively.head()
        stuck.writer.transport.pause_reading()
        for _ in range(20):
            told = _tell(archive, 400)
            assert [(await lively.event(10))["id"] for _ in told] == told


async def test_rows_that_were_dropped_are_not_looked_for_over_and_over(archive, monkeypatch):
    """Who comes with a place before them goes on with what is next, and the store is left in peace meanwhile."""
    feed = archive.app.state.services.feed
    _tell(archive, 5)
    async with feed.reading():
        archive.database.write(lambda one: one.exec_driver_sql("DELETE FROM event"))
        asked = []
        aread = archive.database.aread
        monkeypatch.setattr(archive.database, "aread", lambda work: (asked.append(1), aread(work))[1])
        assert await feed.after(0, timeout_s=0.5) == []
        assert len(asked) < 10
        (told,) = _tell(archive)
        assert [event.id for event in await feed.after(0, timeout_s=5)] == [told]
