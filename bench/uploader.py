"""Uploads as the firmware does: one control connection kept open, everything that needs no answer in one write."""

import asyncio
import re
import socket
import ssl
import time

from bench.photos import Shot

_EPSV = re.compile(r"\|\|\|(\d+)\|")


class Uploader:
    """A blocking uploader, for times of single photos."""

    def __init__(
        self,
        address: tuple[str, int],
        user: str,
        password: str,
        *,
        ours: bool = True,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._trust = trust
        self._ours = ours
        self._control = socket.create_connection(address, timeout=30)
        self._control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._control.makefile("r", newline="\r\n")
        self._expect("220")
        if trust is not None:
            self._secure(trust)
        self._send(f"USER {user}")
        self._expect("331")
        self._send(f"PASS {password}")
        self._expect("230")
        self._send("TYPE I")
        self._expect("200")

    def upload(self, shot: Shot) -> int:
        """Upload and return CLOCK_MONOTONIC (ns) when the last byte had been handed to the kernel."""
        lines = [f"ALLO {len(shot.data)}", "EPSV"]
        if self._ours:
            lines.insert(0, f"SITE SHA256 {shot.sha256}")
        self._send("\r\n".join(lines))
        for _ in lines[:-1]:
            self._expect("2")
        found = _EPSV.search(self._expect("229"))
        if found is None:
            raise ConnectionError("no port in the answer to EPSV")
        data = socket.create_connection((self._address[0], int(found[1])), timeout=30)
        data.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send(f"STOR {shot.id}.jpg")
        if self._trust is not None:
            data = self._trust.wrap_socket(data, server_hostname=self._address[0])
        with data:  # closed without a close_notify, as MicroPython does
            data.sendall(shot.data)
            last_byte_ns = time.monotonic_ns()
        self._expect("1")
        self._expect("226")
        return last_byte_ns

    def _secure(self, trust: ssl.SSLContext) -> None:
        self._send("AUTH TLS")
        self._expect("234")
        self._lines.close()
        self._control = trust.wrap_socket(self._control, server_hostname=self._address[0])
        self._lines = self._control.makefile("r", newline="\r\n")
        for line in ("PBSZ 0", "PROT P"):
            self._send(line)
            self._expect("200")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._control.close()

    def _send(self, line: str) -> None:
        self._control.sendall(f"{line}\r\n".encode())

    def _expect(self, code: str) -> str:
        line = self._lines.readline()
        if not line.startswith(code):
            raise ConnectionError(f"wanted {code}, got {line!r}")
        return line


async def upload_all(address: tuple[str, int], user: str, password: str, shots: list[Shot], *, ours: bool) -> None:
    """Upload one after the other over one control connection, from asyncio."""
    reader, writer = await asyncio.open_connection(*address)

    async def expect(code: str) -> str:
        line = (await reader.readline()).decode()
        if not line.startswith(code):
            raise ConnectionError(f"wanted {code}, got {line!r}")
        return line

    await expect("220")
    for line, code in ((f"USER {user}", "331"), (f"PASS {password}", "230"), ("TYPE I", "200")):
        writer.write(f"{line}\r\n".encode())
        await expect(code)
    for shot in shots:
        lines = [*([f"SITE SHA256 {shot.sha256}"] if ours else []), f"ALLO {len(shot.data)}", "EPSV", ""]
        writer.write("\r\n".join(lines).encode())
        for _ in lines[:-2]:
            await expect("2")
        found = _EPSV.search(await expect("229"))
        if found is None:
            raise ConnectionError("no port in the answer to EPSV")
        _, data = await asyncio.open_connection(address[0], int(found[1]))
        writer.write(f"STOR {shot.id}.jpg\r\n".encode())
        data.write(shot.data)
        data.close()
        await data.wait_closed()
        await expect("1")
        await expect("226")
    writer.close()
    await writer.wait_closed()
