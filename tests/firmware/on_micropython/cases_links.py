"""The links on real sockets, against servers that say nothing, break off or lie; and what is left behind."""

import asyncio
import os
import socket
import time

from aa import dns, link, troubles
from aa.ftpwire import FtpError, FtpLost
from aa.mqtt import Mqtt
from aa.net import Lost, flush, open_stream, put, receive
from aa.tls import TlsError
from aa.uploader import Uploader
from aa.wire import new_client
from helpers import araises, serve, until

_wait_for_ms = asyncio.wait_for_ms
_SECRETS = {"camera": "cam", "token": "secret", "root": "aperture"}


class Wifi:
    async def wait_up(self):
        pass


class Quick:
    """A back-off that is none."""

    def __init__(self, *_):
        pass

    def next_ms(self):
        return 1

    def reset(self):
        pass


class NoPhotos:
    """A queue with nothing in it."""

    def __init__(self):
        self.changed = asyncio.Event()

    def __iter__(self):
        return iter(())


def _hurry(times):
    """Have all deadlines pass so many times as fast."""
    asyncio.wait_for_ms = lambda what, ms: _wait_for_ms(what, ms // times)


async def _start(kind, handler):
    server, port = await serve(handler)
    secrets = dict(_SECRETS)
    secrets[kind] = {"host": "127.0.0.1", "port": port}

    async def nothing(*_):
        pass

    if kind == "mqtt":
        part = Mqtt(secrets, nothing, lambda *_: None, answer_ms=10_000)
    else:
        part = Uploader(secrets, NoPhotos(), lambda entry: None)
    return part, asyncio.create_task(part.run(Wifi()))


async def _read_all(reader):
    try:
        while await reader.read(512):
            pass
    except OSError:
        pass  # a reset is an end as well


def _ftp(replies):
    """Return a handler that greets and gives these replies, then reads on and says nothing."""

    async def handler(reader, writer):
        writer.write(b"220 hi\r\n")
        await writer.drain()
        for reply in replies:
            if not await reader.readline():
                break
            writer.write(reply)
            await writer.drain()
        await _read_all(reader)
        writer.s.close()

    return handler


async def servers_that_accept_and_say_nothing_are_left_and_tried_again():
    _hurry(50)
    for kind, half_way in (
        ("mqtt", b""),
        ("ftp", b""),
        ("ftp", b"220-well\r\n"),
        ("mqtt", b"\x20\x02"),
        ("mqtt", b"\x20"),
    ):
        times = []

        async def handler(reader, writer, times=times, half_way=half_way):
            times.append(time.ticks_ms())
            writer.write(half_way)
            await writer.drain()
            await _read_all(reader)
            writer.s.close()

        part, running = await _start(kind, handler)
        await until(lambda times=times: len(times) == 3)
        assert part.trouble == troubles.NO_ANSWER and not part.pulse.is_late()
        running.cancel()


async def each_step_of_a_connection_is_given_up_in_time():
    """To connect, to be heard, to hear: by a server whose chip goes on, and whose program does not."""

    async def handler(reader, writer):
        await asyncio.sleep(60)

    _, port = await serve(handler)
    stream, _ = await open_stream("127.0.0.1", port, 1_000)
    await araises(asyncio.TimeoutError, receive(stream, 10, 50))
    while not stream.out_buf:
        stream.write(bytes(10_000))
    await araises(asyncio.TimeoutError, flush(stream, 50))
    before = _descriptors()
    silent, port = _listen()
    reached = []
    while len(reached) < 5:  # so few wait to be accepted: the next hears nothing
        try:
            reached.append(await open_stream("127.0.0.1", port, 200))
        except asyncio.TimeoutError:
            break
    assert len(reached) < 5 and _descriptors() == before + 1 + len(reached)
    silent.close()


def _listen():
    """Return (a socket that listens and never accepts, its port)."""
    sock = socket.socket()
    for port in range(20_000, 60_000):
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            sock.listen(0)
            break
        except OSError:
            pass
    return sock, port


async def garbage_ends_a_connection_and_nothing_else():
    _hurry(50)
    for kind in ("mqtt", "ftp"):
        for said in (
            b"\x00" * 600,
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\xff\xff\xff\xff\xff\xff\r\n",
            b"220 hi\r\n" * 9,
        ):
            times = []

            async def handler(reader, writer, times=times, said=said):
                times.append(1)
                writer.write(said)
                await writer.drain()
                await _read_all(reader)
                writer.s.close()

            part, running = await _start(kind, handler)
            await until(lambda times=times: len(times) == 2)
            assert part.trouble is not None and part.state != link.UP
            running.cancel()


async def a_session_that_goes_silent_is_found_out_by_a_noop():
    _hurry(20)  # a NOOP every 2.2 s, and 0.7 s for its answer
    features = b"211-x\r\n SITE SHA256\r\n211 end\r\n"
    part, running = await _start("ftp", _ftp((b"331 pw\r\n", b"230 in\r\n", b"200 ok\r\n", features, b"200 noop\r\n")))
    heard = []
    part.heard = lambda: heard.append(part.state)
    await until(lambda: part.state == link.UP)
    await until(lambda: part.state == link.DOWN, 12_000)
    assert len(heard) == 2 and part.trouble == troubles.NO_ANSWER, "up, and one NOOP that was answered"
    running.cancel()


def _descriptors():
    return len(os.listdir("/proc/self/fd"))


async def no_socket_is_left_behind_by_200_connections():
    link.Backoff = Quick
    for kind, replies in (("mqtt", ()), ("ftp", (b"331 pw\r\n",))):
        times = []

        async def handler(reader, writer, times=times, replies=replies):
            times.append(1)
            try:
                for reply in (b"220 hi\r\n",) + replies:
                    writer.write(reply)
                    await writer.drain()
                    await reader.read(100)
            except OSError:
                pass  # it was dropped at the other end
            writer.s.close()

        part, running = await _start(kind, handler)
        await until(lambda times=times: len(times) > 5)
        before = _descriptors()
        count = len(times)
        while len(times) < count + 200:
            if len(times) % 2:
                part.drop("half of them in the middle of something")
            await asyncio.sleep_ms(1)
        running.cancel()
        await asyncio.sleep_ms(100)
        assert _descriptors() <= before + 1, (kind, before, _descriptors())


async def a_lost_network_ends_at_once_what_waits_for_a_server():
    """Whatever it waits for: else the deadline of that would pass before the next try."""
    came, part = [], None

    async def handler(reader, writer):
        came.append(time.ticks_ms())
        await _read_all(reader)
        writer.s.close()

    for kind in ("mqtt", "ftp"):
        part, running = await _start(kind, handler)
        await until(lambda: part.state == link.CONNECTING and came)
        started = time.ticks_ms()
        part.drop("wifi lost")
        await until(lambda: len(came) == 2)
        assert time.ticks_diff(time.ticks_ms(), started) < 500 and part.trouble is None
        came.clear()
        running.cancel()


async def a_press_during_a_try_that_fails_has_another_made_at_once():
    class Slow(Quick):
        def next_ms(self):
            return 60_000

    link.Backoff = Slow
    came = []

    async def handler(reader, writer):
        came.append(writer)
        await _read_all(reader)
        writer.s.close()

    for kind in ("mqtt", "ftp"):
        part, running = await _start(kind, handler)
        await until(lambda: part.state == link.CONNECTING and len(came) == 1)
        part.hurry()
        came[0].write(b"nonsense\r\n")
        await came[0].drain()
        came[0].s.close()
        await until(lambda: len(came) == 2)
        came.clear()
        running.cancel()


def a_client_of_many_packets_runs_out_of_no_identifiers():
    """umqtt's own count never wraps: 65,536 would be a packet that brokers hang up on. QoS 0 needs none."""
    client, wire = new_client("cam", "cam", "t", 30, ("w", b"x"), lambda *_: None)
    client.sock = wire
    for _ in range(70_000):
        client.publish("t", b"", False)
        wire.take()
    assert client.pid < 100


def what_ends_a_connection_is_one_family():
    assert issubclass(FtpLost, Lost) and troubles.of_link(FtpLost("x")) == troubles.LOST


class _Distrusts:
    """A stream under TLS whose first write does the whole handshake, for the answer came at once."""

    def write(self, data):
        raise ValueError("\nThe certificate is not correctly signed by the trusted CA\n")


def a_certificate_that_does_not_hold_ends_the_connection_and_no_part_of_the_camera():
    try:
        put(_Distrusts(), b"CONNECT")
    except TlsError as cause:
        assert troubles.of_link(cause) == troubles.BAD_CERTIFICATE
        return
    raise AssertionError("a ValueError would have ended the part")


def a_server_that_wants_tls_is_said_to():
    """534 before the login: no time will cure that, so it is asked again slowly, like a refused token."""
    refused = FtpError(534, "AUTH TLS first")
    assert troubles.of_link(refused) == troubles.ONLY_TLS and troubles.is_last_word(refused)
    assert all(len(words) <= 16 for words in troubles.ONLY_TLS)


async def _dns_server(answer):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(33_000, 60_000):
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            break
        except OSError:
            continue
    sock.setblocking(False)

    async def run():
        while True:
            try:
                packet, address = sock.recvfrom(512)
                sock.sendto(answer(packet), address)
            except OSError:
                await asyncio.sleep_ms(2)

    return port, asyncio.create_task(run())


def _found(packet):
    return (
        packet[:2]
        + b"\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x07"
    )


async def a_name_that_does_not_exist_is_told_at_once():
    port, running = await _dns_server(lambda packet: packet[:2] + b"\x81\x83" + packet[4:])
    dns.use_server("127.0.0.1", port)
    started = time.ticks_ms()
    await araises(dns.NameNotFound, dns.resolve("nobody.lan", 9_000))
    assert time.ticks_diff(time.ticks_ms(), started) < 1_000
    running.cancel()


async def a_name_in_local_is_asked_of_everyone_and_blocks_nobody():
    """RFC 6762: it has no server. ESP32's own look-up of such names would stop everything for seconds."""
    port, running = await _dns_server(_found)
    dns._mdns = ("127.0.0.1", port)
    assert await dns.resolve("pi.local", 2_000) == "127.0.0.7"
    running.cancel()
    await asyncio.sleep_ms(10)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep_ms(10)

    counting = asyncio.create_task(count())
    await araises(dns.NameNotFound, dns.resolve("gone.local", 600))
    assert turns > 50
    counting.cancel()


def a_refused_token_is_said_to_be_one_and_asked_about_slowly():
    for code in (530, 332):
        refused = FtpError(code, "no")
        assert troubles.of_link(refused) == troubles.TOKEN and troubles.is_last_word(refused)
    busy = FtpError(421, "later")
    assert troubles.of_link(busy) == troubles.SERVER_BUSY and not troubles.is_last_word(busy)
