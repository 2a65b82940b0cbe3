"""FTP's control connection: commands out, replies in, each with a deadline (RFC 959 §4.2, RFC 4217).

`ftp` has what is said on it.
"""

import asyncio

from aa.net import Lost, Refused, close_stream, flush, open_stream, put, secure

REPLY_MS = 15_000
_LONGEST_LINE = 512
_MOST_LINES = 64


class FtpError(Refused):
    """The server said no: `code` is its reply code (RFC 959 §4.2); 4xx may pass, 5xx is its last word."""


class FtpLost(Lost):
    """The control connection is gone, or says what is not FTP: only a new one helps."""


def want(reply, *codes):
    """Return the text of a reply that has one of these codes.

    Raises:
        FtpError: it has another.
    """
    if reply[0] not in codes:
        raise FtpError(*reply)
    return reply[1]


def passive_port(text):
    """Return the port in "… (|||port|)" (RFC 2428 §3)."""
    fields = text[text.find("(") + 1 : text.rfind(")")].split("|")
    if len(fields) != 5 or not fields[3].isdigit():
        raise FtpLost("no port in " + text)
    return int(fields[3])


class Control:
    """One control connection; `address` is the server's, in numbers, for the data connections to go to as well."""

    def __init__(self):
        self._stream = None
        self.address = None

    @property
    def is_open(self):
        """Whether there is a connection."""
        return self._stream is not None

    async def open(self, host, port):
        """Connect.

        Raises:
            OSError, asyncio.TimeoutError: nobody there.
        """
        self._stream, self.address = await open_stream(host, port, REPLY_MS)

    def secure(self, tls, host):
        """From here on all goes through TLS, to a server that proves to be `host`."""
        self._stream = secure(self._stream, tls, host)

    async def close(self):
        """Drop the connection."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await close_stream(stream)

    async def send(self, *lines):
        """Send commands in one write."""
        if self._stream is None:
            raise FtpLost("not connected")
        for line in lines:
            if "\r" in line or "\n" in line:
                raise ValueError("a line break in an FTP command")
        put(self._stream, ("\r\n".join(lines) + "\r\n").encode())
        await flush(self._stream, REPLY_MS)

    async def ask(self, line):
        """Send a command and return its reply."""
        await self.send(line)
        return await self.reply()

    async def reply(self, timeout_ms=REPLY_MS):
        """Return (code, text) of the next reply; of one with many lines, all of them joined by line breaks."""
        return await asyncio.wait_for_ms(self._lines(), timeout_ms)

    async def _lines(self):
        first = await self._line()
        if len(first) < 3 or not first[:3].isdigit():
            raise FtpLost("no FTP reply")
        last, text = first, first[4:]
        for _ in range(_MOST_LINES):
            if last[:3] == first[:3] and last[3:4] != "-":
                return int(first[:3]), text
            last = await self._line()
            text += "\n" + last
        raise FtpLost("a reply without end")

    async def _line(self):
        line = b""
        while not line.endswith(b"\n"):
            part = await self._stream.readline()
            if not part:
                raise FtpLost("connection closed")
            line += part
            if len(line) > _LONGEST_LINE:
                raise FtpLost("a line without end")
        return "".join(chr(octet) for octet in line).rstrip()  # whatever bytes a server may send
