"""The FTP client: one control connection kept open, and as few waits as can be between a press and its bytes.

To a server that knows `SITE SHA256` (ours), everything goes out without waiting: it holds what arrives on the data
connection until it has read `STOR`, and its 226 means verified and on disk. Any other server may drop such early
bytes, and takes a connection that broke for a finished file: there we wait for the 150, and ask for SIZE at the end.
RFC 959, RFC 2428 (EPSV), RFC 3659 (SIZE, REST).
"""

import asyncio

from aa.net import close_stream, open_stream
from aa.queue import MediumError

_REPLY_MS = 15_000
_STORED_MS = 60_000  # the server syncs to its disk before it answers
_AFTER_BREAK_MS = 3_000
_SLOWEST_BYTES_MS = 4  # a transfer slower than 4 KB/s is given up, to be resumed
_CHUNK_BYTES = 4096
_LONGEST_LINE = 512


class FtpError(Exception):
    """The server said no: `code` is its reply code (RFC 959 §4.2); 4xx may pass, 5xx is its last word."""

    def __init__(self, code, text):
        super().__init__("{} {}".format(code, text))
        self.code = code


class FtpLost(Exception):
    """The control connection is gone, or says what is not FTP: only a new one helps."""


class Ftp:
    """One session with the server at `host`:`port`, logged in as `user`."""

    def __init__(self, host, port, user, password):
        self._host, self._port = host, port
        self._user, self._password = user, password
        self._stream = None

    @property
    def is_open(self):
        """Whether there is a session."""
        return self._stream is not None

    async def open(self):
        """Connect and log in.

        Raises:
            FtpError: the login is refused.
            FtpLost, OSError, asyncio.TimeoutError: nobody there.
        """
        self._stream = await open_stream(self._host, self._port, _REPLY_MS)
        try:
            self._want(await self._reply(), 220)
            code, text = await self._ask("USER " + self._user)
            if code == 331:
                code, text = await self._ask("PASS " + self._password)
            self._want((code, text), 230, 202)
            self._want(await self._ask("TYPE I"), 200)
        except BaseException:
            await self.close()
            raise

    async def close(self):
        """Drop the session."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await close_stream(stream)

    async def noop(self):
        """Make sure that the session lives.

        Raises:
            FtpLost, OSError, asyncio.TimeoutError: it does not.
        """
        await self._ask("NOOP")

    async def size(self, name):
        """Return how many bytes of a file the server has; 0 when it has none, or does not tell."""
        code, text = await self._ask("SIZE " + name)
        if code == 213 and text.strip().isdigit():
            return int(text.strip())
        if code == 421:
            raise FtpLost(text)
        return 0

    async def store(self, name, file, total, digest, offset=0):
        """Send `file` from `offset` on as `name`; when this returns, the server has all `total` bytes.

        Raises:
            FtpError: refused; the session is still good, unless it was 421.
            FtpLost, OSError, asyncio.TimeoutError, MediumError: the session is of no more use.
        """
        await self._send("SITE SHA256 " + digest, "ALLO {}".format(total), "EPSV")
        code, _ = await self._reply()
        ours = code // 100 == 2
        code, text = await self._reply()
        if code in (452, 552, 421):
            await self._reply()  # EPSV's
            raise FtpError(code, text)
        port = _passive_port(self._want(await self._reply(), 229))
        data = await open_stream(self._host, port, _REPLY_MS)
        try:
            if offset and (await self._ask("REST {}".format(offset)))[0] != 350:
                offset = 0  # it can't resume: STOR replaces what it has
            _seek(file, offset)
            await self._transfer(data, name, file, total - offset, ours)
        finally:
            await close_stream(data)
        self._want(await self._last_reply(ours), 226, 250)
        if not ours and await self.size(name) != total:
            raise FtpError(426, "the server has only a part")

    async def _transfer(self, data, name, file, size, ours):
        await self._send("STOR " + name)
        if not ours:
            self._want(await self._reply(), 150, 125)
        try:
            await asyncio.wait_for_ms(_copy(file, data), _REPLY_MS + size // _SLOWEST_BYTES_MS)
        except OSError as cause:  # the server closed on us: it says why
            code, text = await self._last_reply(ours, _AFTER_BREAK_MS)
            if code < 400:
                raise cause
            raise FtpError(code, text)

    async def _last_reply(self, ours, timeout_ms=_STORED_MS):
        code, text = await self._reply(timeout_ms)
        while ours and code in (150, 125):
            code, text = await self._reply(timeout_ms)
        return code, text

    def _want(self, reply, *codes):
        if reply[0] not in codes:
            raise FtpError(*reply)
        return reply[1]

    async def _send(self, *lines):
        if self._stream is None:
            raise FtpLost("not connected")
        for line in lines:
            if "\r" in line or "\n" in line:
                raise ValueError("a line break in an FTP command")
        self._stream.write(("\r\n".join(lines) + "\r\n").encode())
        await asyncio.wait_for_ms(self._stream.drain(), _REPLY_MS)

    async def _ask(self, line):
        await self._send(line)
        return await self._reply()

    async def _reply(self, timeout_ms=_REPLY_MS):
        """Return (code, text of the last line) of the next reply, which may have many lines (RFC 959 §4.2)."""
        return await asyncio.wait_for_ms(self._lines(), timeout_ms)

    async def _lines(self):
        first = await self._line()
        if len(first) < 3 or not first[:3].isdigit():
            raise FtpLost("no FTP reply")
        last = first
        while last[:3] != first[:3] or last[3:4] == "-":
            last = await self._line()
        return int(first[:3]), last[4:]

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


def _passive_port(text):
    """Return the port in "… (|||port|)" (RFC 2428 §3)."""
    fields = text[text.find("(") + 1 : text.rfind(")")].split("|")
    if len(fields) != 5 or not fields[3].isdigit():
        raise FtpLost("no port in " + text)
    return int(fields[3])


def _seek(file, offset):
    try:
        file.seek(offset)
    except OSError as cause:
        raise MediumError(str(cause))


async def _copy(file, stream):
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    while True:
        try:
            count = file.readinto(buffer)
        except OSError as cause:
            raise MediumError(str(cause))
        if not count:
            return
        stream.write(view[:count])
        await stream.drain()
