"""The MQTT link, against brokers that misbehave: scripted ones, on a real socket."""

import asyncio
import time

from aa import link as links
from aa import troubles, wire
from aa.link import REFUSED, UP
from aa.mqtt import LinkLost, Mqtt
from helpers import araises, raises, serve, until

_SECRETS = {"camera": "cam", "token": "secret", "root": "aperture"}
_CONNACK = b"\x20\x02\x00\x00"


class Wifi:
    """A network that is there."""

    async def wait_up(self):
        pass


class Broker:
    """Answers CONNECT and SUBSCRIBE; `received` holds what each read brought."""

    def __init__(self, connack=_CONNACK, pongs=True, answer_ms=5_000):
        self.received, self.streams = [], []
        self.connack, self.pongs, self.answer_ms = connack, pongs, answer_ms
        self.messages, self.ups = [], 0

    async def start(self):
        self.server, port = await serve(self._serve)
        secrets = dict(_SECRETS)
        secrets["mqtt"] = {"host": "127.0.0.1", "port": port}
        self.link = Mqtt(secrets, self._up, self._take, keepalive_s=1, answer_ms=self.answer_ms)
        self.running = asyncio.create_task(self.link.run(Wifi()))
        return self.link

    async def _up(self):
        self.ups += 1

    def _take(self, kind, body):
        self.messages.append((kind, body))

    async def _serve(self, reader, writer):
        self.streams.append(writer)
        while True:
            data = await reader.read(1024)
            if not data:
                return
            self.received.append(data)
            if data[0] == 0x10:
                await self.say(self.connack)
            elif data[0] == 0x82:
                await self.say(b"".join(b"\x90\x03\x00" + bytes((number, 1)) for number in (1, 2, 3)))
            elif data[0] == 0xC0 and self.pongs:
                await self.say(b"\xd0\x00")

    async def say(self, data):
        self.streams[-1].write(data)
        await self.streams[-1].drain()

    async def is_up(self, times=1):
        await until(lambda: self.link.state == UP and self.ups == times)


def _publish(topic, body, qos=1):
    size = 2 + len(topic) + (2 if qos else 0) + len(body)
    pid = b"\x00\x07" if qos else b""
    return bytes((0x30 | qos << 1, size & 0x7F | 0x80, size >> 7, 0, len(topic))) + topic + pid + body


async def a_packet_leaves_in_one_piece():
    broker = Broker()
    link = await broker.start()
    await broker.is_up()
    connect = broker.received[0]
    assert connect[0] == 0x10 and connect[1] == len(connect) - 2, "the whole CONNECT in the first read"
    assert b"aperture/cam/presence\x00\x07offline" in connect and connect[9] & 0x3C == 0x2C  # will: QoS 1, retained
    count = len(broker.received)
    assert link.publish("shutter", b"x" * 300, False)
    await until(lambda: len(broker.received) > count)
    assert broker.received[count] == b"\x30\xc2\x02\x00\x14aperture/cam/shutter" + b"x" * 300


async def a_split_message_blocks_nobody_and_is_taken_whole():
    broker = Broker()
    await broker.start()
    await broker.is_up()
    packet = _publish(b"aperture/cam/command", b'{"id": "abc"}')
    turns = 0
    for octet in packet:
        await broker.say(bytes((octet,)))
        await asyncio.sleep_ms(1)
        turns += 1
    await until(lambda: broker.messages)
    assert broker.messages == [("command", b'{"id": "abc"}')] and turns == len(packet)
    await until(lambda: b"\x40\x02\x00\x07" in b"".join(broker.received))


async def two_messages_in_one_segment_are_two():
    broker = Broker()
    await broker.start()
    await broker.is_up()
    await broker.say(_publish(b"aperture/cam/ack", b"1", 0) + _publish(b"aperture/cam/ack", b"2"))
    await until(lambda: len(broker.messages) == 2)
    assert broker.messages == [("ack", b"1"), ("ack", b"2")]


async def a_silent_broker_is_left_by_the_ping_watchdog():
    broker = Broker(pongs=False, answer_ms=300)
    link = await broker.start()
    await broker.is_up()
    started = time.ticks_ms()
    await until(lambda: link.state != UP)
    assert time.ticks_diff(time.ticks_ms(), started) < 2_500
    assert b"\xc0\x00" in broker.received
    await until(lambda: broker.ups == 2)


async def an_answered_ping_keeps_the_link():
    broker = Broker(answer_ms=300)
    await broker.start()
    await broker.is_up()
    await asyncio.sleep_ms(1_800)
    assert broker.ups == 1 and broker.link.state == UP and broker.received.count(b"\xc0\x00") >= 2


async def a_broker_that_accepts_and_says_nothing_is_given_up():
    broker = Broker(connack=b"", answer_ms=200)
    link = await broker.start()
    await until(lambda: len(broker.streams) >= 2)
    assert link.state != UP and not link.publish("status", b"x")


async def a_refused_login_is_tried_again_slowly_and_never_counts_as_up():
    links.REFUSED_MS = (1_200, 1_200)  # the usual pause is 500 ms at most
    broker = Broker(connack=b"\x20\x02\x00\x05")
    refused = await broker.start()
    await until(lambda: refused.state == REFUSED)
    started = time.ticks_ms()
    assert refused.trouble == troubles.TOKEN
    refused.hurry()  # a press does not hurry who is refused
    await until(lambda: len(broker.streams) >= 2)
    assert time.ticks_diff(time.ticks_ms(), started) >= 590 and broker.ups == 0
    broker.connack = _CONNACK
    await until(lambda: refused.state == UP)
    assert refused.trouble is None


async def after_a_broken_connection_everything_starts_anew():
    broker = Broker()
    link = await broker.start()
    await broker.is_up()
    broker.streams[-1].s.close()
    await until(lambda: broker.ups == 2)
    assert link.publish("presence", b"online", True)


async def packets_that_umqtt_would_stumble_over_end_the_connection_only():
    for bad in (
        b"\x30\x01\x00",
        b"\x30\x04\x00\x09ab",
        b"\x34\x06\x00\x01a\x00\x01x",  # QoS 2
        b"\xd0\x01x",
        b"\x00\x00",
        b"\x30\xff\xff\xff\xff\x01",
        b"\x20\x02\x00\x00",  # a second CONNACK
    ):
        broker = Broker()
        await broker.start()
        await broker.is_up()
        await broker.say(bad)
        await broker.is_up(2)
        broker.running.cancel()


async def a_message_too_large_for_a_camera_is_skipped():
    broker = Broker()
    await broker.start()
    await broker.is_up()
    await broker.say(_publish(b"aperture/cam/ack", b"x" * 9_000) + _publish(b"aperture/cam/ack", b"next"))
    await until(lambda: broker.messages)
    assert broker.messages == [("ack", b"next")] and broker.ups == 1


async def a_message_without_a_body_costs_no_link():
    broker = Broker()
    await broker.start()
    await broker.is_up()
    for kind in (b"command", b"ack"):
        for qos in (0, 1):
            await broker.say(_publish(b"aperture/cam/" + kind, b"", qos))
    await broker.say(_publish(b"aperture/cam/ack", b"next"))
    await until(lambda: len(broker.messages) == 5)
    assert [body for _, body in broker.messages] == [b"", b"", b"", b"", b"next"] and broker.ups == 1


async def messages_of_others_are_not_ours():
    broker = Broker()
    await broker.start()
    await broker.is_up()
    await broker.say(_publish(b"aperture/dog/ack", b"1", 0) + _publish(b"aperture/cam/ack", b"2", 0))
    await until(lambda: broker.messages)
    assert broker.messages == [("ack", b"2")]


async def a_peer_that_reads_nothing_fills_no_memory():
    broker = Broker()
    link = await broker.start()
    await broker.is_up()
    said = 0
    while link.publish("status", b"x" * 1_000):
        said += 1
        assert said < 100
    assert len(link._wire.outgoing) < 40_000


async def leaving_says_disconnect_after_everything_else_has_arrived():
    broker = Broker()
    link = await broker.start()
    await broker.is_up()
    link.publish("presence", b"asleep", True)
    leaving = asyncio.create_task(link.leave())
    await until(lambda: b"\xe0\x00" in broker.received)
    await asyncio.sleep_ms(50)
    assert not leaving.done(), "it waits for the close"
    broker.streams[-1].s.close()
    await leaving
    everything = b"".join(broker.received)
    assert everything.find(b"asleep") < everything.rfind(b"\xc0\x00") < everything.rfind(b"\xe0\x00")
    await asyncio.sleep_ms(700)
    assert len(broker.streams) == 1, "it does not come back"
    link.come_back()
    await until(lambda: len(broker.streams) == 2)


def a_subscription_that_is_refused_is_seen():
    raises(wire.BadPacket, wire.check, b"\x90\x03\x00\x01\x80", 2)
    wire.check(b"\x90\x03\x00\x01\x01", 2)


async def a_ping_without_answer_is_a_lost_link():
    broker = Broker(pongs=False)
    link = await broker.start()
    await broker.is_up()
    await araises(LinkLost, link.ping(100))
