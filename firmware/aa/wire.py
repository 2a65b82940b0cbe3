"""umqtt.simple without its socket: the library makes and reads packets, asyncio moves them.

umqtt.simple blocks: on connect, on a split packet, on an answer that does not come. Here it is given an object in the
socket's place that never waits: what it writes is collected, and it is fed only whole packets. While it connects or
subscribes it is shown the answer that it waits for, at once; `mqtt` waits for the real one, with a deadline. That
holds for every umqtt.simple from 1.3.4 to 1.8.0, and needs no change to it, not even where it is frozen in.
"""

import umqtt.simple

from aa.net import Lost

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0


class BadPacket(Lost):
    """The peer sent what MQTT 3.1.1 does not allow here; only closing the connection helps."""


class Wire:
    """Stands in for umqtt's socket, and for the module that it makes its socket with."""

    def __init__(self):
        self._incoming = b""
        self.outgoing = bytearray()

    def socket(self, *_):
        """What umqtt calls to open a socket: this is it."""
        return self

    def getaddrinfo(self, host, port, *_):
        """Address look-up has been done long before."""
        return [(0, 0, 0, "", (host, port))]

    def connect(self, address):
        """The connection is up already."""

    def settimeout(self, seconds):
        """Nothing here ever waits."""

    def setblocking(self, flag):
        """Nothing here ever waits."""

    def close(self):
        """The connection is closed by who opened it."""

    def write(self, data, size=None):
        """Collect bytes to send. Returns how many."""
        part = data if size is None else memoryview(data)[:size]
        self.outgoing.extend(part)
        return len(part)

    def send(self, data):
        """As `write`."""
        return self.write(data)

    def read(self, size):
        """Hand over bytes of the packet that was fed; None when there are none. An empty body is none missing."""
        if not self._incoming:
            return None if size else b""
        part, self._incoming = self._incoming[:size], self._incoming[size:]
        return part

    recv = read

    def feed(self, packet):
        """Lay one whole packet ready; what is left of the last one, umqtt did not want."""
        self._incoming = packet

    def take(self):
        """Return what is to be sent, and start anew."""
        data, self.outgoing = self.outgoing, bytearray()
        return data


def new_client(client_id, user, password, keepalive_s, will, on_message):
    """Return (client, wire): an MQTTClient that never blocks. `will` is (topic, body), retained with QoS 1."""
    wire = Wire()
    client = umqtt.simple.MQTTClient(client_id, "", 1883, user, password, keepalive_s)
    client.set_callback(on_message)
    client.set_last_will(will[0], will[1], True, 1)
    return client, wire


def connect(client, wire):
    """Have umqtt make its CONNECT; the server's real CONNACK is still to come."""
    wire.feed(bytes((CONNACK, 2, 0, 0)))
    real, umqtt.simple.socket = umqtt.simple.socket, wire
    try:
        client.connect(True)
    finally:
        umqtt.simple.socket = real


def subscribe(client, wire, topic):
    """Have umqtt make its SUBSCRIBE for QoS 1; the server's real SUBACK is still to come."""
    pid = client.pid + 1
    wire.feed(bytes((SUBACK, 3, pid >> 8, pid & 0xFF, 1)))
    client.subscribe(topic, 1)


def check(packet, header):
    """Refuse a packet that umqtt would stumble over: it trusts the wire. `header` is the length of its fixed header.

    Raises:
        BadPacket: with what is wrong.
    """
    kind = packet[0] & 0xF0
    size = len(packet) - header
    if kind == PUBLISH:
        qos = packet[0] >> 1 & 3
        if qos > 1:
            raise BadPacket("QoS {} was never asked for".format(qos))
        if size < 2 or size < (packet[header] << 8 | packet[header + 1]) + 2 + (2 if qos else 0):
            raise BadPacket("PUBLISH shorter than its topic")
    elif kind == SUBACK:
        if size != 3 or packet[header + 2] & 0x80:
            raise BadPacket("subscription refused")
    elif kind == PINGRESP:
        if size:
            raise BadPacket("PINGRESP with a body")
    elif kind != PUBACK:
        raise BadPacket("unexpected packet 0x{:02x}".format(packet[0]))
