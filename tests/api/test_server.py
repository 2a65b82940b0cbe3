import asyncio
import signal
import socket
import time

import pytest

import api
from api import server


async def test_port_0_is_told_and_answered(archive, stranger):
    assert archive.port > 0
    assert (await stranger.get("/healthz")).status_code == 200


async def test_answers_are_not_held_back(stranger):
    """Nagle's algorithm with delayed acknowledgements would add 40 ms to each of them."""
    await stranger.get("/healthz")
    began = time.monotonic()
    for _ in range(25):
        await stranger.get("/healthz")
    assert time.monotonic() - began < 0.8


async def test_an_address_in_use_is_a_clear_error(stopped):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(api.ListenError, match=f"port {port}.*APERTURE_API__PORT"):
            await api.serve(stopped.app, host="127.0.0.1", port=port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
async def test_an_address_that_is_not_ours_is_a_clear_error(stopped, host):
    with pytest.raises(api.ListenError, match=host):
        await api.serve(stopped.app, host=host, port=0)


async def test_ipv6_works(stopped):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    listening = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(api.serve(stopped.app, host="::1", port=0, on_listening=listening.set_result))
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    assert listening.done()
    reader, writer = await asyncio.open_connection("::1", listening.result())
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()
    task.cancel()
    await asyncio.wait({task})


async def test_the_process_s_signals_are_left_alone(stopped, running):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    async with running(stopped):
        assert {number: signal.getsignal(number) for number in before} == before


async def test_cancelling_stops_it_and_frees_the_port(stopped, running):
    async with running(stopped) as server:
        server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server
        with socket.create_server(("127.0.0.1", stopped.port)):
            pass


async def test_a_request_that_runs_is_finished_before_the_end(stopped, running, jpeg):
    """Here a thumbnail that takes a while: its asker gets it though the server is asked to stop meanwhile."""
    stopped.add_camera()
    photo = stopped.store(jpeg())
    read, begun = stopped.blobs.read, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*name):
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.5)
        return read(*name)

    stopped.blobs.read = slow
    async with running(stopped) as server, stopped.client() as client:
        asking = asyncio.create_task(client.get(f"/api/v1/photos/{photo}/thumbnail"))
        await begun.wait()
        server.cancel()
        assert (await asking).status_code == 200


async def test_who_connects_and_says_nothing_is_sent_away(archive, monkeypatch):
    """Also who sends half a head, byte by byte."""
    monkeypatch.setattr(server, "REQUEST_S", 0.3)
    for said in (b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "):
        reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
        writer.write(said)
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()


async def test_silent_neighbours_leave_room_for_others(archive, stranger, monkeypatch):
    """Beyond the limit a connection is closed at once; when the silent ones are gone there is room again."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 5)
    monkeypatch.setattr(server, "REQUEST_S", 0.5)
    silent = [await asyncio.open_connection("127.0.0.1", archive.port) for _ in range(20)]
    ends = await asyncio.gather(*(asyncio.wait_for(reader.read(), 5) for reader, _ in silent), return_exceptions=True)
    assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
    assert (await stranger.get("/healthz")).status_code == 200
    for _, writer in silent:
        writer.close()
    await asyncio.sleep(0)


async def test_a_slow_client_keeps_its_connection_between_requests(archive, stranger, monkeypatch):
    """The deadline is for the first request only: keep-alive has its own."""
    monkeypatch.setattr(server, "REQUEST_S", 0.2)
    first = await stranger.get("/healthz")
    await asyncio.sleep(0.4)
    second = await stranger.get("/healthz")
    assert first.extensions["network_stream"] is second.extensions["network_stream"]


async def test_a_body_that_never_comes_holds_no_connection(archive, monkeypatch):
    """It would be waited for before the token is looked at."""
    monkeypatch.setattr(server, "REQUEST_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
    writer.write(b"POST /api/v1/cameras/cam/sleep HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    try:
        async with asyncio.timeout(3):
            await reader.read()
    finally:
        writer.close()
        await asyncio.sleep(0)


async def test_a_second_request_that_never_ends_holds_no_connection(archive, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        async with asyncio.timeout(3):
            await reader.readuntil(b"}")
            writer.write(b"G")
            assert await reader.read() == b""
    finally:
        writer.close()
        await asyncio.sleep(0)
