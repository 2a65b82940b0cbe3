"""The time from a time server (SNTP, RFC 4330 and RFC 5905), until our own server has told it.

Only with `ntp` in the secrets. Our server's word is the better one: photos are ordered by its clock. What a time server
says is believed only as the answer to this very question, within a second, and within this century.
"""

import asyncio
import os
import socket
import time

from aa import log
from aa.backoff import Backoff
from aa.clock import is_plausible
from aa.dns import resolve
from aa.pulse import Pulse

_PORT = 123
_ASK = 0x23  # version 4, client
_SERVER = 4
_WAIT_MS = 3_000
_MOST_ROUND_TRIP_MS = 1_000
_1900_TO_1970_S = 2_208_988_800
_ERA_S = 1 << 32  # the count began anew in 2036


class BadTime(Exception):
    """An answer that is none; the text says why."""


def _whole(packet, at):
    return packet[at] << 24 | packet[at + 1] << 16 | packet[at + 2] << 8 | packet[at + 3]


def unix_ms(packet, nonce):
    """Return the time in an answer, in ms since 1970.

    Raises:
        BadTime: it answers another question, or its sender does not know the time.
    """
    if len(packet) < 48 or packet[24:32] != nonce:
        raise BadTime("answers something else")
    if packet[0] & 7 != _SERVER or packet[0] >> 6 == 3 or not 1 <= packet[1] <= 15:
        raise BadTime("the server has no time itself")
    seconds, fraction = _whole(packet, 40), _whole(packet, 44)
    if seconds < 1 << 31:
        seconds += _ERA_S
    now_ms = (seconds - _1900_TO_1970_S) * 1000 + (fraction * 1000 >> 32)
    if not is_plausible(now_ms):
        raise BadTime("not of this century")
    return now_ms


async def ask(host, port=_PORT, timeout_ms=_WAIT_MS):
    """Return what time it is now, in ms since 1970.

    Raises:
        BadTime: the answer can't be believed.
        OSError, asyncio.TimeoutError: there was none.
    """
    address = await resolve(host, timeout_ms)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(socket.getaddrinfo(address, port)[0][-1])
        nonce = os.urandom(8)
        asked = time.ticks_ms()
        sock.send(bytes((_ASK,)) + bytes(39) + nonce)  # the nonce in the place of our time, which comes back
        packet = await asyncio.wait_for_ms(asyncio.StreamReader(sock).read(128), timeout_ms)
        trip_ms = time.ticks_diff(time.ticks_ms(), asked)
        if trip_ms > _MOST_ROUND_TRIP_MS:
            raise BadTime("it took {} ms".format(trip_ms))
        return unix_ms(packet, nonce) + trip_ms // 2
    finally:
        sock.close()


class Sntp:
    """Sets `clock` by the time server `host`; None: nobody is asked."""

    def __init__(self, host, clock, port=_PORT):
        self._host, self._port, self._clock = host, port, clock
        self.pulse = Pulse()

    async def run(self, wifi):
        """Ask until the time is known; never all cameras at once."""
        pauses = Backoff(2_000, 600_000)
        while self._host and not self._clock.is_set:
            self.pulse.rest()
            await wifi.wait_up()
            pause_ms = pauses.next_ms()
            self.pulse.within(pause_ms + 10 * _WAIT_MS)
            await asyncio.sleep_ms(pause_ms)
            if self._clock.is_set:
                return
            try:
                self._clock.sync(await ask(self._host, self._port))
                log.info("time from a time server", host=self._host)
            except (BadTime, OSError, asyncio.TimeoutError) as cause:
                log.warning("no time from the time server", host=self._host, why=log.words(cause))
