"""MicroPython's `socket` for a virtual camera: the host's, but names are asked of the program, on a port of its own.

MicroPython's own getaddrinfo asks the host, and stops everything meanwhile: `aa.dns` asks by UDP instead, on port 53.
"""

import os

from usocket import *  # noqa: F403 - it stands in for all of it
from usocket import AF_INET, SOCK_DGRAM
from usocket import getaddrinfo as _getaddrinfo
from usocket import socket as _socket

_DNS = 53
_port = os.getenv("APERTURE_DNS")
_silent = None
dns_hangs = False


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
