"""MicroPython's `socket` for a virtual camera: the host's, but names are asked of the program, on a port of its own.

MicroPython's own getaddrinfo asks the host, and stops everything meanwhile: `aa.dns` asks by UDP instead, on port 53.

Each TCP connection is noted, to be cut when the radio goes away.
"""

import os
import struct
from errno import EHOSTUNREACH

from usocket import *  # noqa: F403 - it stands in for all of it
from usocket import AF_INET, SOCK_DGRAM, SOCK_STREAM
from usocket import getaddrinfo as _getaddrinfo
from usocket import socket as _socket

_DNS = 53
_AF_UNSPEC = 0
_port = os.getenv("APERTURE_DNS")
_silent = None
dns_hangs = False
in_reach = True
_made = []


def socket(family=AF_INET, kind=SOCK_STREAM, *rest):
    """Return a new socket.

    Raises:
        OSError: there is no network.
    """
    if family != AF_INET:
        return _socket(family, kind, *rest)
    if not in_reach:
        raise OSError(EHOSTUNREACH)
    sock = _socket(family, kind, *rest)
    if kind == SOCK_STREAM:
        _made[:] = [one for one in _made if one.fileno() >= 0]
        _made.append(sock)
    return sock


def cut_all():
    """Reset every connection that is there, and refuse new ones until `in_reach` is true again."""
    global in_reach
    in_reach = False
    for sock in _made:
        try:
            sock.connect(struct.pack("<H", _AF_UNSPEC) + bytes(14))  # Linux: it is connected no more
        except OSError:  # it was closed
            pass
    _made.clear()


def dns_server():
    """Return the address of who knows names; None where there is no program that does."""
    return "127.0.0.1" if _port else None


def getaddrinfo(host, port, *rest):
    """Return the addresses of `host`."""
    if port == _DNS and _port:
        port = _nobody() if dns_hangs else int(_port)
    return _getaddrinfo(host, port, *rest)


def _nobody():
    """Return a port where everything is taken and nothing is said."""
    global _silent
    for number in range(50_000, 60_000):
        if _silent is None:
            sock = _socket(AF_INET, SOCK_DGRAM)
            try:
                sock.bind(_getaddrinfo("127.0.0.1", number)[0][-1])
                _silent = sock, number
            except OSError:
                sock.close()
    return _silent[1]
