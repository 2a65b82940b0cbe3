"""A DNS server for a virtual camera: the names that a test gives out, and the host's for all others (RFC 1035)."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Final, Self

import structlog

log = structlog.get_logger(__name__)

_HEADER: Final = struct.Struct(">6H")
_A, _IN, _NO_SUCH_NAME, _TTL_S = 1, 1, 3, 1


class Names(asyncio.DatagramProtocol):
    """Answers on a free port of the loopback, `port`, from `addresses` (name -> IPv4 address), which may change."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = int(self._transport.get_extra_info("sockname")[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        self._transport.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question, later."""
        task = asyncio.create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, question: bytes, peer: tuple[str, int]) -> None:
        try:
            name, end = read_name(question, _HEADER.size)
        except (IndexError, UnicodeDecodeError):
            log.warning("no DNS question", peer=peer)
            return
        address = self._addresses.get(name) or await self._ask_host(name)
        ident = struct.unpack_from(">H", question)[0]
        head = _HEADER.pack(ident, 0x8180 | (0 if address else _NO_SUCH_NAME), 1, 1 if address else 0, 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", _A, _IN, _TTL_S, 4) + socket.inet_aton(address) if address else b""
        self._transport.sendto(head + question[_HEADER.size : end + 4] + answer, peer)

    async def _ask_host(self, name: str) -> str | None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
        except OSError:
            return None
        return str(found[0][4][0]) if found else None


def read_name(packet: bytes, at: int) -> tuple[str, int]:
    """Return a name of a question, and where it ends."""
    labels: list[str] = []
    while packet[at]:
        size = packet[at]
        labels.append(packet[at + 1 : at + 1 + size].decode("ascii"))
        at += size + 1
    return ".".join(labels), at + 1
