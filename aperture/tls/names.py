"""The names and addresses under which cameras may reach this machine: a certificate holds for no others."""

import fcntl
import ipaddress
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final

Address = IPv4Address | IPv6Address

_SIOCGIFADDR: Final = 0x8915  # netdevice(7), Linux: an interface's IPv4 address
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST: Final = 253
_ELSEWHERE: Final = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
"""Documentation's networks (RFC 5737, RFC 3849): a datagram socket picks a route to them, and sends nothing."""


def parse(text: str) -> Address | str:
    """Return an address, or a name in lower case.

    Raises:
        ValueError: it is neither.
    """
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        name = text.lower().rstrip(".")
        if len(name) > _LONGEST or not _NAME.fullmatch(name) or name.replace(".", "").isdigit():
            raise ValueError(f"{text!r} is neither a host's name nor an address") from None
        return name


def is_wildcard(host: str) -> bool:
    """Whether `host` says "every address of this machine", which is what one listens on, and no name of it."""
    return host in {"0.0.0.0", "::", ""}  # noqa: S104 - it is compared, not bound


def of_this_machine() -> list[Address | str]:
    """Return what others, and we ourselves, may call this machine."""
    return unique(["localhost", "127.0.0.1", "::1", *_own_names(), *_own_addresses()])


def unique(texts: Iterable[str]) -> list[Address | str]:
    """Return each name and address once, in the order given; what can be none in a certificate is left out."""
    found: dict[Address | str, None] = {}
    for text in texts:
        try:
            found[parse(text)] = None
        except ValueError:  # a machine may call itself anything
            continue
    return list(found)


def _own_names() -> Iterator[str]:
    name = socket.gethostname()
    short = name.partition(".")[0]
    yield from (name, short, f"{short}.local")


def _own_addresses() -> Iterator[str]:
    for address, family in _ELSEWHERE:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((address, 9))
            except OSError:  # no route: not on such a network
                continue
            yield probe.getsockname()[0]
    for _, interface in socket.if_nameindex():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
            except OSError:  # it has none, or this is not Linux
                continue
            yield socket.inet_ntoa(answer[20:24])
