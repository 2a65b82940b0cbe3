"""Names to IPv4 addresses without blocking: MicroPython's getaddrinfo stops everything while DNS is down."""

import asyncio
import os
import socket

_TRIES = 3
_NO_SUCH_NAME = 3
_server = None  # (address, port)
_mdns = ("224.0.0.251", 5353)  # whoever has a name that ends in .local answers for itself (RFC 6762 §5.1)


class NameNotFound(OSError):
    """No address for a name."""


def use_server(address, port=53):
    """Ask this DNS server (the one that DHCP named) from now on; None for whatever the port does by itself."""
    global _server
    _server = (address, port) if address else None


def is_address(host):
    """Whether `host` is an IPv4 address in numbers."""
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def query(ident, host):
    """Return a DNS question for the A record of `host` (RFC 1035 §4.1)."""
    packet = bytearray(ident) + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    for label in host.split("."):
        raw = label.encode()
        if not 1 <= len(raw) <= 63:
            raise NameNotFound("no host name: " + host)
        packet.append(len(raw))
        packet.extend(raw)
    return packet + b"\x00\x00\x01\x00\x01"


def _skip_name(packet, at):
    while packet[at]:
        if packet[at] >= 0xC0:  # a pointer to an earlier name ends this one
            return at + 2
        at += packet[at] + 1
    return at + 1


def answer(packet, ident):
    """Return the first IPv4 address of a DNS answer, or None when it has none or answers something else.

    Raises:
        NameNotFound: it says that there is no such name.
    """
    try:
        if packet[:2] != ident or not packet[2] & 0x80:
            return None
        if packet[3] & 0xF == _NO_SUCH_NAME:
            raise NameNotFound("no such name")
        at = 12
        for _ in range(packet[4] << 8 | packet[5]):
            at = _skip_name(packet, at) + 4
        for _ in range(packet[6] << 8 | packet[7]):
            at = _skip_name(packet, at)
            size = packet[at + 8] << 8 | packet[at + 9]
            if packet[at : at + 4] == b"\x00\x01\x00\x01" and size == 4 and len(packet) >= at + 14:
                return ".".join(str(octet) for octet in packet[at + 10 : at + 14])
            at += 10 + size
    except IndexError:
        pass  # cut short
    return None


async def _ask(host, ident):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stream = asyncio.StreamReader(sock)
    try:
        sock.setblocking(False)
        if host.endswith(".local"):
            sock.sendto(query(ident, host), socket.getaddrinfo(*_mdns)[0][-1])
        else:
            sock.connect(socket.getaddrinfo(*_server)[0][-1])  # so that nobody else can answer
            sock.send(query(ident, host))
        while True:
            found = answer(await stream.read(512), ident)
            if found:
                return found
    finally:
        sock.close()


async def resolve(host, timeout_ms):
    """Return the IPv4 address of `host`; the name itself where the network named no server that can be asked.

    Raises:
        NameNotFound: it does not exist, or nobody knew it in time.
    """
    if is_address(host):
        return host
    if host == "localhost":
        return "127.0.0.1"
    if _server is None and not host.endswith(".local"):
        return host
    for _ in range(_TRIES):
        try:
            return await asyncio.wait_for_ms(_ask(host, os.urandom(2)), max(500, timeout_ms // _TRIES))
        except NameNotFound:
            break
        except (asyncio.TimeoutError, OSError):
            continue
    raise NameNotFound("no address for " + host)
