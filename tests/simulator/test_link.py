"""The bad link is bad as ordered, and otherwise changes nothing: bytes, ends and resets pass as they are."""

import asyncio
import contextlib
import hashlib
import struct

import pytest

from simulator.link import DATA, Cut, How, Link, Quality, Told, seeded_cuts

BODY = bytes(range(256)) * 400


class Sink:
    """A server that keeps what each connection brought and how it ended, and answers with its length."""

    def __init__(self):
        self.got, self.ends = [], []
        self.tasks = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:  # those whose other end fell silent
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        data, end = b"", "end"
        try:
            try:
                while piece := await reader.read(65536):
                    data += piece
            except ConnectionError:
                end = "reset"
            self.got.append(data)
            self.ends.append(end)
            writer.write(b"%d" % len(data))
        finally:
            await closed(writer)


async def closed(writer):
    """Close a connection, and be sure that it is."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def sink():
    async with Sink() as sink:
        yield sink


async def send(port, body=BODY, timeout_s=5):
    """Send a body and return (answer, how it ended)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(body)
            await writer.drain()
            writer.write_eof()
            return await reader.read(), "end"
    except ConnectionError:
        return b"", "reset"
    except TimeoutError:
        return b"", "silence"
    finally:
        await closed(writer)


async def test_a_perfect_link_changes_nothing(sink):
    async with Link(ports={"mqtt": sink.port}) as link:
        assert await send(link.ports["mqtt"]) == (b"%d" % len(BODY), "end")
    assert sink.got == [BODY]
    assert link.bytes_up == {"mqtt": len(BODY)}
    assert link.bytes_down == {"mqtt": 6}


async def test_rate_and_delay_are_as_ordered(sink):
    """102,400 bytes at 8 Mbit/s are 102 ms; a connect, the bytes and the answer are four times the delay."""
    loop = asyncio.get_running_loop()
    took_ms = []
    async with Link(ports={"x": sink.port}, quality=Quality(bits_per_s=8_000_000, delay_ms=20)) as link:
        for _ in range(5):  # the machine may be busy: the best of them is the link's own
            started = loop.time()
            await send(link.ports["x"])
            took_ms.append((loop.time() - started) * 1000)
    assert 180 <= min(took_ms) < 400


@pytest.mark.parametrize("share", [0, 1])
async def test_a_share_of_the_connections_is_cut_at_once(sink, share, soon):
    """Those that there are, however few bytes they carry; and the cuts are counted."""
    async with Link(ports={"x": sink.port}) as link:
        streams = [await asyncio.open_connection("127.0.0.1", link.ports["x"]) for _ in range(3)]
        for _, writer in streams:
            writer.write(b"hello")
        await soon(lambda: link.bytes_up["x"] == 15, "all are through")
        await link.cut_some(share, How.RESET)
        assert link.cuts.total() == 3 * share
        for reader, writer in streams:
            with contextlib.suppress(OSError):
                writer.write_eof()
                assert await reader.read() == b"5", "those that are whole go on"
                assert not share
            await closed(writer)


async def test_pieces_that_come_late_come_in_order(sink):
    quality = Quality(delay_ms=1, stalls=0.3, stall_ms=30)
    async with Link(ports={"x": sink.port}, quality=quality, seed=3) as link:
        await send(link.ports["x"])
    assert sink.got == [BODY]


@pytest.mark.parametrize("how", list(How))
@pytest.mark.parametrize("at", [0, 1, 5000, len(BODY) - 1])
async def test_a_cut_comes_at_its_byte_and_is_told_as_ordered(sink, how, at, soon):
    async with Link(ports={"x": sink.port}, plan=lambda *_: Cut(at=at, how=how)) as link:
        answer, end = await send(link.ports["x"], timeout_s=0.3)
        assert (answer, end) == (b"", str(how))
        if how is not How.SILENCE:
            await soon(lambda: bool(sink.ends), "the server hears of it")
    assert link.cuts == {how: 1}
    if how is not How.RESET:  # a reset may drop what the receiver has not read yet
        assert sink.got in ([], [BODY[:at]])
    assert sink.ends in ([], [str(how)]) or how is How.SILENCE


async def test_a_cut_can_be_told_to_one_end_only(sink):
    """The server sees a finished connection, and the camera sees nothing: what makes others store half a photo."""
    cut = Cut(at=7000, how=How.END, told=Told.SERVER)
    async with Link(ports={"x": sink.port}, plan=lambda *_: cut) as link:
        assert await send(link.ports["x"], timeout_s=0.3) == (b"", "silence")
        assert sink.got == [BODY[:7000]]
        assert sink.ends == ["end"]


async def test_a_reset_by_an_end_reaches_the_other_as_a_reset(sink, soon):
    """A link that turned it into an end would make the worst of servers look well."""
    async with Link(ports={"x": sink.port}) as link:
        _, writer = await asyncio.open_connection("127.0.0.1", link.ports["x"])
        writer.write(b"half")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await soon(lambda: bool(sink.ends), "the server hears of it")
    assert sink.ends == ["reset"]


async def test_it_can_go_down_and_come_back(sink):
    async with Link(ports={"x": sink.port}) as link:
        await link.go_down()
        assert (await send(link.ports["x"]))[0] == b""
        link.come_back()
        assert (await send(link.ports["x"]))[0] == b"%d" % len(BODY)


def test_a_seed_gives_the_same_cuts_again():
    first, again, other = (seeded_cuts(seed, share=0.5, within=1000) for seed in (7, 7, 8))
    cuts = [first("ftp", number) for number in range(50)]
    assert cuts == [again("ftp", number) for number in range(50)]
    assert cuts != [other("ftp", number) for number in range(50)]
    assert any(cut is None for cut in cuts)
    assert any(cut is not None for cut in cuts)


async def test_a_passive_port_is_carried_too(ftp, uploads):
    """EPSV names a port: the link names one of its own, also when the reply comes in two pieces."""
    async with Link(ports={"ftp": ftp.port}, quality=Quality(delay_ms=5)) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.ports["ftp"])

        async def ask(line):
            writer.write(line + b"\r\n")
            return await reader.readline()

        await reader.readline()
        await ask(b"USER cam")
        assert (await ask(b"PASS secret")).startswith(b"230")
        await ask(b"TYPE I")
        port = int((await ask(b"EPSV")).split(b"|")[3])
        _, data = await asyncio.open_connection("127.0.0.1", port)
        assert (await ask(b"STOR a.bin")).startswith((b"150", b"125"))
        data.write(BODY)
        await closed(data)
        assert (await reader.readline()).startswith(b"226")
        await closed(writer)
    assert hashlib.sha256((uploads / "a.bin").read_bytes()).digest() == hashlib.sha256(BODY).digest()
    assert link.connections == {"ftp": 1, DATA: 1}


async def test_a_reply_that_names_a_port_may_come_in_pieces():
    """What may become such a line waits for its end; all else passes at once."""

    async def serve(reader, writer):
        try:
            for piece in (b"220 hi\r\n2", b"29 ok (|||", b"5", b"|)\r\n200 no", b" end"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            await reader.read()
        finally:
            await closed(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Link(ports={"ftp": server.sockets[0].getsockname()[1]}) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.ports["ftp"])
        assert await reader.readline() == b"220 hi\r\n"
        port = (await reader.readline()).split(b"|")[3]
        assert port.isdigit()
        assert port != b"5"
        assert await reader.readexactly(10) == b"200 no end"
        await closed(writer)
