"""The time from a time server: believed only as the answer to our own question, and only if it can be true."""

import asyncio
import socket
import time

from aa import sntp
from aa.clock import Clock
from aa.sntp import BadTime, Sntp, ask, unix_ms
from helpers import Rtc, araises, raises, until

_NONCE = b"12345678"
_NOW_MS = 1_795_000_000_123  # November 2026


def _answer(unix=_NOW_MS, nonce=_NONCE, first=0x24, stratum=2, era=True):
    """Build a server's packet. RFC 4330: seconds since 1900 and a fraction of 2**-32 s."""
    seconds = unix // 1000 + 2_208_988_800
    fraction = ((unix % 1000) << 32) // 1000 + 1
    packet = bytes((first, stratum)) + bytes(22) + nonce + bytes(8)
    return packet + (seconds & 0xFFFFFFFF).to_bytes(4, "big") + fraction.to_bytes(4, "big")


def an_answer_is_read_to_the_millisecond_in_either_era():
    assert unix_ms(_answer(), _NONCE) == _NOW_MS
    in_2040 = 2_208_988_800_500
    assert unix_ms(_answer(in_2040), _NONCE) == in_2040


def what_cannot_be_true_is_refused():
    for packet in (
        _answer()[:47],
        _answer(nonce=b"87654321"),  # answers another question
        _answer(first=0x23),  # a client
        _answer(first=0xE4),  # its clock is not set
        _answer(stratum=0),  # "go away" (RFC 4330 §8)
        _answer(stratum=16),
        _answer(946_684_800_000),  # the year 2000
        _answer(4_200_000_000_000),  # 2103
        b"",
    ):
        raises(BadTime, unix_ms, packet, _NONCE)


class Server:
    """A time server on a free port; `reply(nonce)` makes its packet, `delay_ms` is how long it takes."""

    def __init__(self, reply=lambda nonce: _answer(nonce=nonce), delay_ms=0):
        self.reply, self.delay_ms, self.asked = reply, delay_ms, 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = 31_000
        while True:
            try:
                self.sock.bind(socket.getaddrinfo("127.0.0.1", self.port)[0][-1])
                break
            except OSError:
                self.port += 1
        self.sock.setblocking(False)
        self.task = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            try:
                packet, address = self.sock.recvfrom(512)
            except OSError:
                await asyncio.sleep_ms(2)
                continue
            assert len(packet) == 48 and packet[0] == 0x23
            self.asked += 1
            await asyncio.sleep_ms(self.delay_ms)
            answer = self.reply(packet[40:48])
            if answer:
                self.sock.sendto(answer, address)


async def the_time_is_asked_for_and_half_of_the_way_is_added():
    server = Server(delay_ms=100)
    now_ms = await ask("127.0.0.1", server.port)
    assert _NOW_MS + 45 <= now_ms <= _NOW_MS + 120
    server.delay_ms = 1_100
    assert "took" in str(await araises(BadTime, ask("127.0.0.1", server.port)))
    server.reply = lambda nonce: None
    started = time.ticks_ms()
    await araises(asyncio.TimeoutError, ask("127.0.0.1", server.port, 300))
    assert time.ticks_diff(time.ticks_ms(), started) < 1_000


class Wifi:
    async def wait_up(self):
        pass


async def a_clock_that_nobody_set_is_set_once_and_after_a_pause():
    server, clock = Server(), Clock(Rtc())
    part = Sntp("127.0.0.1", clock, server.port)
    started = time.ticks_ms()
    await part.run(Wifi())
    assert clock.is_set and abs(clock.now_ms() - _NOW_MS) < 500 and server.asked == 1
    assert time.ticks_diff(time.ticks_ms(), started) >= 900, "cameras that start together don't ask together"


async def our_own_server_has_the_last_word():
    server, clock = Server(lambda nonce: _answer(_NOW_MS + 9 * 3_600_000, nonce)), Clock(Rtc())
    await Sntp("127.0.0.1", clock, server.port).run(Wifi())
    clock.sync(_NOW_MS)
    assert clock.now_ms() == _NOW_MS
    await Sntp("127.0.0.1", clock, server.port).run(Wifi())
    await Sntp(None, Clock(Rtc()), server.port).run(Wifi())
    assert server.asked == 1, "nobody is asked who is not needed"


async def a_server_that_lies_is_asked_again_later_and_never_believed():
    sntp.Backoff = lambda *_: _Quick()
    server, clock = Server(lambda nonce: _answer(nonce=b"xxxxxxxx")), Clock(Rtc())
    running = asyncio.create_task(Sntp("127.0.0.1", clock, server.port).run(Wifi()))
    await until(lambda: server.asked >= 3)
    assert not clock.is_set and clock.now_ms() is None
    running.cancel()


class _Quick:
    def next_ms(self):
        return 20


def a_time_that_is_no_time_of_today_is_not_learnt():
    clock = Clock(Rtc())
    for absurd in (0, 1_600_000_000_000, 4_200_000_000_000):
        clock.sync(absurd)
        assert not clock.is_set and clock.now_ms() is None
    clock.sync(_NOW_MS)
    assert clock.now_ms() == _NOW_MS
