"""The link to the MQTT broker: kept up for ever, never in anyone's way.

Everything is published at QoS 0: what must arrive is repeated until the server's own acknowledgement, which is
stronger than a broker's. `wire` has how umqtt.simple is made to wait for nothing.
"""

import asyncio
import time

from aa import log, wire
from aa.link import UP, Link
from aa.net import Lost, Refused, close_stream, flush, open_stream, put, secure
from aa.tls import Tls

_KINDS = ("command", "ack", "photo")
_WRITE_MS = 10_000
_MOST_PACKET = 8192
_MOST_OUTGOING = 32_768
_REFUSED = {
    1: "protocol version refused",
    2: "client id refused",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
}


class LinkLost(Lost):
    """The connection ended, or is not worth keeping; the text says why."""


class Mqtt(Link):
    """One camera's link. `on_up()` is awaited after each connect, `on_message(kind, body)` is called per message."""

    def __init__(self, secrets, on_up, on_message, tls=None, keepalive_s=30, answer_ms=10_000):
        super().__init__("mqtt")
        self._host, self._port = secrets["mqtt"]["host"], secrets["mqtt"]["port"]
        self._tls = (tls or Tls()) if secrets["mqtt"].get("tls") else None
        self._camera, self._token = secrets["camera"], secrets["token"]
        self._prefix = secrets["root"] + "/" + secrets["camera"] + "/"
        self._on_up, self._on_message = on_up, on_message
        self._keepalive_s, self._answer_ms = keepalive_s, answer_ms
        self._client = self._wire = self._stream = self._why = None
        self._inbox = []
        self._answers = 0  # PINGRESPs so far
        self._to_send = asyncio.Event()
        self._broken = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()

    def publish(self, kind, body, retain=False):
        """Send a body on one of this camera's topics. Returns False when it can't leave now."""
        if self.state != UP or len(self._wire.outgoing) > _MOST_OUTGOING:
            return False
        self._client.publish(self._prefix + kind, body, retain)
        self._to_send.set()
        return True

    async def run(self, wifi):
        """Stay connected for ever. `wifi.wait_up()` is awaited before each try."""

        async def ready():
            await self._wanted.wait()
            await wifi.wait_up()

        await self.keep_up(ready, self._connect)

    async def _connect(self):
        self.pulse.within(6 * self._answer_ms)
        if self._tls is not None:
            self._tls.load()  # before a word is said
        stream, _ = await open_stream(self._host, self._port, self._answer_ms)
        try:
            self._stream = stream
            if self._tls is not None:
                self._stream = secure(stream, self._tls, self._host)
            await asyncio.wait_for_ms(self._handshake(), 2 * self._answer_ms)
            await self._serve()
        finally:
            stream, self._stream = self._stream, None
            await close_stream(stream)

    async def _handshake(self):
        will = (self._prefix + "presence", b"offline")
        self._client, self._wire = wire.new_client(
            self._camera, self._camera, self._token, self._keepalive_s, will, self._note
        )
        wire.connect(self._client, self._wire)
        await self._flush(self._answer_ms)
        packet, header = await self._packet()
        if packet[0] != wire.CONNACK or len(packet) != header + 2:
            raise wire.BadPacket("no CONNACK")
        if packet[header + 1]:
            raise Refused(packet[header + 1], _REFUSED.get(packet[header + 1], "refused"))
        for kind in _KINDS:
            wire.subscribe(self._client, self._wire, self._prefix + kind)
        await self._flush(self._answer_ms)
        for _ in _KINDS:  # a command must find us subscribed before we say that we are online
            await self._until(wire.SUBACK)

    async def _until(self, kind):
        while True:
            packet, header = await self._packet()
            self._take(packet, header)
            if packet[0] & 0xF0 == kind:
                return

    async def _serve(self):
        self._heard = self._spoke = time.ticks_ms()
        self._why = None
        self._broken.clear()
        self.be_up()
        log.info("mqtt up", host=self._host)
        jobs = (self._read(), self._write(), self._watch(), self._on_up())
        tasks = [asyncio.create_task(self._guard(job)) for job in jobs]
        try:
            await self._broken.wait()
        finally:
            for task in tasks:
                task.cancel()
        raise self._why or LinkLost("closed")

    async def _guard(self, job):
        try:
            await job
        except asyncio.CancelledError:
            raise
        except Exception as cause:
            self._why = self._why or cause
            self._broken.set()

    async def _read(self):
        while True:
            self._take(*await self._packet())

    async def _packet(self):
        """Return (packet, length of its fixed header); a packet too large for a camera is skipped, not stored."""
        while True:
            head = await self._stream.readexactly(1)
            size = shift = 0
            while True:
                octet = (await self._stream.readexactly(1))[0]
                head += bytes((octet,))
                size |= (octet & 0x7F) << shift
                shift += 7
                if not octet & 0x80:
                    break
                if shift > 21:
                    raise wire.BadPacket("length of more than four bytes")
            self._heard = time.ticks_ms()
            self.heard()
            if size <= _MOST_PACKET:
                return head + await self._stream.readexactly(size), len(head)
            while size:
                size -= len(await self._stream.readexactly(min(size, 1024)))

    def _take(self, packet, header):
        """Let umqtt read one packet, then pass on what it found: nothing is acted on inside its callback."""
        wire.check(packet, header)
        self._answers += packet[0] == wire.PINGRESP
        self._wire.feed(packet)
        self._client.check_msg()
        if self._wire.outgoing:
            self._to_send.set()
        while self._inbox:
            self._on_message(*self._inbox.pop(0))

    def _note(self, topic, body, *_):
        for kind in _KINDS:
            if topic == (self._prefix + kind).encode():
                self._inbox.append((kind, body))

    async def _write(self):
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            await self._flush(_WRITE_MS)

    async def _flush(self, timeout_ms):
        data = self._wire.take()
        if data:
            put(self._stream, data)
            await flush(self._stream, timeout_ms)
            self._spoke = time.ticks_ms()

    async def _watch(self):
        """Ping a broker when half the keep-alive has passed in silence, in either direction."""
        half_ms = self._keepalive_s * 500
        while True:
            self.pulse.within(2 * half_ms + 3 * self._answer_ms)
            now = time.ticks_ms()
            quiet = max(time.ticks_diff(now, self._heard), time.ticks_diff(now, self._spoke))
            if quiet < half_ms:
                await asyncio.sleep_ms(half_ms - quiet)
                continue
            await self.ping(self._answer_ms)

    async def ping(self, timeout_ms):
        """Ask the broker for a sign of life: everything published before has then arrived there.

        Raises:
            LinkLost: none came.
        """
        asked, answers = time.ticks_ms(), self._answers
        self._client.ping()
        self._to_send.set()
        while self._answers == answers:
            if time.ticks_diff(time.ticks_ms(), asked) > timeout_ms:
                raise LinkLost("no answer to a ping")
            await asyncio.sleep_ms(20)

    async def leave(self, timeout_ms=2_000):
        """Say good-bye so that the last will is not sent, and wait until all of it is out; `come_back` ends it."""
        self._wanted.clear()
        self._ending = True
        if self.state != UP:
            return
        try:
            await self.ping(timeout_ms)
            self._client.disconnect()
            self._to_send.set()
            while self.state == UP and timeout_ms > 0:
                await asyncio.sleep_ms(20)
                timeout_ms -= 20
        except LinkLost as cause:
            log.warning("left without good-bye", why=log.words(cause))

    def come_back(self):
        """Connect again after `leave`."""
        self._wanted.set()
        self.hurry()
