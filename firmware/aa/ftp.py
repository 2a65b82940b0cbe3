"""The FTP client: one control connection kept open, and as few waits as can be between a press and its bytes.

At a press, `prepare` opens the data connection, while the frame is taken and written to the card. To a server that
knows `SITE SHA256` (ours), `store` then waits for nothing: what is said and the bytes leave together, for it holds
what arrives on the data connection until it has read `STOR`, and its 226 means verified and on disk. Any other server
may drop such early bytes, and takes a connection that broke for a finished file: there we wait for the 150, and ask
for SIZE at the end. RFC 959, RFC 2389 (FEAT), RFC 2428 (EPSV), RFC 3659 (SIZE, REST), RFC 4217 (TLS).
"""

import asyncio
import time

from aa.ftpwire import REPLY_MS, Control, FtpError, FtpLost, passive_port, want
from aa.net import close_stream, flush, open_stream, put, receive, secure
from aa.queue import MediumError
from aa.tls import NOT_SPOKEN, TlsError

PREPARED_MS = 10_000  # a data connection that idles for longer may have been given up by the server
_STORED_MS = 60_000  # the server syncs to its disk before it answers
_AFTER_BREAK_MS = 3_000
_STALL_MS = 15_000
_CHUNK_BYTES = 4096


class Ftp:
    """One session with the server at `host`:`port`, logged in as `user`; over TLS with `tls`, a `Tls`."""

    def __init__(self, host, port, user, password, tls=None):
        self._host, self._port = host, port
        self._user, self._password = user, password
        self._tls = tls
        self._control = Control()
        self._ours = False
        self._data = self._data_ticks = None
        self.sent = None  # called as sent(done, total) for each piece of a file that has left

    @property
    def is_open(self):
        """Whether there is a session."""
        return self._control.is_open

    async def open(self):
        """Connect and log in.

        Raises:
            FtpError: the login is refused.
            FtpLost, OSError, asyncio.TimeoutError: nobody there.
        """
        control = self._control
        if self._tls is not None:
            self._tls.load()  # before a word is said
        try:
            await control.open(self._host, self._port)
            want(await control.reply(), 220)
            if self._tls is not None:
                code, text = await control.ask("AUTH TLS")
                if code != 234:
                    raise TlsError("{} {}".format(code, text), NOT_SPOKEN)
                control.secure(self._tls, self._host)
            reply = await control.ask("USER " + self._user)
            if reply[0] == 331:
                reply = await control.ask("PASS " + self._password)
            want(reply, 230, 202)
            await self._settle()
        except BaseException:
            await self.close()
            raise

    async def _settle(self):
        """Say how files are to come over, and find out whether this server is ours."""
        control = self._control
        if self._tls is not None:
            await control.send("PBSZ 0", "PROT P", "TYPE I", "FEAT")
            want(await control.reply(), 200)
            want(await control.reply(), 200)
        else:
            await control.send("TYPE I", "FEAT")
        want(await control.reply(), 200)
        code, features = await control.reply()
        self._ours = code == 211 and "SITE SHA256" in features

    async def close(self):
        """Drop the session."""
        await self.unprepare()
        await self._control.close()

    async def noop(self):
        """Make sure that the session lives.

        Raises:
            FtpLost, OSError, asyncio.TimeoutError: it does not.
        """
        await self.unprepare()
        await self._control.ask("NOOP")

    async def size(self, name):
        """Return how many bytes of a file the server has; 0 when it has none, or does not tell."""
        code, text = await self._control.ask("SIZE " + name)
        if code == 213 and text.strip().isdigit():
            return int(text.strip())
        if code == 421:
            raise FtpLost(text)
        return 0

    async def prepare(self):
        """Open the data connection for what comes next.

        Raises:
            FtpError: refused.
            FtpLost, OSError, asyncio.TimeoutError: the session is of no more use.
        """
        await self.unprepare()
        port = passive_port(want(await self._control.ask("EPSV"), 229))
        self._data, _ = await open_stream(self._control.address, port, REPLY_MS)
        self._data_ticks = time.ticks_ms()

    @property
    def is_prepared(self):
        """Whether there is a data connection that can be relied upon."""
        return self._data is not None and 0 <= time.ticks_diff(time.ticks_ms(), self._data_ticks) < PREPARED_MS

    async def unprepare(self):
        """Close the data connection that nobody used."""
        if self._data is not None:
            data, self._data = self._data, None
            await close_stream(data)

    async def store(self, name, file, total, digest, offset=0):
        """Send `file` from `offset` on as `name`; when this returns, the server has all `total` bytes.

        Raises:
            FtpError: refused; the session is still good, unless it was 421.
            FtpLost, OSError, asyncio.TimeoutError, MediumError: the session is of no more use.
        """
        early = self.is_prepared
        try:
            await self._store(name, file, total, digest, offset)
        except FtpError as cause:
            if not early or cause.code not in (425, 426):
                raise
            await self._store(name, file, total, digest, offset)  # the connection had idled, and was dropped

    async def retrieve(self, name, take):
        """Read a file of the server; `take(piece)` gets it in pieces, which last until it returns.

        Raises:
            FtpError: refused, or cut short; the session is still good, unless it was 421.
            FtpLost, OSError, asyncio.TimeoutError, or what `take` raises: the session is of no more use.
        """
        if not self.is_prepared:
            await self.prepare()
        try:
            await self._control.send("RETR " + name)
            want(await self._control.reply(), 150, 125)
            if self._tls is not None:
                self._data = secure(self._data, self._tls, self._host)
                take(self._data.s.read(1) or b"")  # begins the handshake: a server that sends waits for it
            while True:
                piece = await receive(self._data, _CHUNK_BYTES, _STALL_MS)
                if not piece:
                    break
                take(piece)
        finally:
            await self.unprepare()
        want(await self._control.reply(), 226, 250)

    async def _store(self, name, file, total, digest, offset):
        if not self.is_prepared:
            await self.prepare()
        try:
            if offset and (await self._control.ask("REST {}".format(offset)))[0] != 350:
                offset = 0  # it can't resume: STOR replaces what it has
            _seek(file, offset)
            lines = ["ALLO {}".format(total), "STOR " + name]
            if self._ours:
                lines.insert(0, "SITE SHA256 " + digest)
            await self._control.send(*lines)
            if self._ours:
                broke = await self._bytes(file, offset, total)
                await self._begun(len(lines) - 1, _AFTER_BREAK_MS if broke else REPLY_MS)
            else:
                await self._begun(len(lines) - 1)
                broke = await self._bytes(file, offset, total)
            await self._ended(broke)
        finally:
            await self.unprepare()
        if not self._ours and await self.size(name) != total:
            raise FtpError(426, "the server has only a part")

    async def _begun(self, said, timeout_ms=REPLY_MS):
        """Read the replies to the `said` commands before STOR, and that to STOR itself."""
        refusal = None
        for _ in range(said):
            code, text = await self._control.reply(timeout_ms)
            if code in (452, 552, 421):
                refusal = FtpError(code, text)
        reply = await self._control.reply(timeout_ms)
        if refusal is not None:
            await self.unprepare()
            if reply[0] < 200:
                await self._control.reply()
            raise refusal
        want(reply, 150, 125)

    async def _bytes(self, file, done, total):
        """Send the file and its end. Returns None, or the error when the server took no more: it says why."""
        if self._tls is not None:
            self._data = secure(self._data, self._tls, self._host)
        try:
            await self._copy(file, done, total)
        except (OSError, asyncio.TimeoutError) as cause:
            return cause
        finally:
            await self.unprepare()
        return None

    async def _copy(self, file, done, total):
        buffer = bytearray(_CHUNK_BYTES)
        view = memoryview(buffer)
        while True:
            try:
                count = file.readinto(buffer)
            except OSError as cause:
                raise MediumError(str(cause))
            if not count:
                return
            put(self._data, view[:count])
            await flush(self._data, _STALL_MS)
            done += count
            if self.sent is not None:
                self.sent(done, total)

    async def _ended(self, broke):
        reply = await self._control.reply(_AFTER_BREAK_MS if broke else _STORED_MS)
        if broke and reply[0] < 400:
            raise broke
        want(reply, 226, 250)


def _seek(file, offset):
    try:
        file.seek(offset)
    except OSError as cause:
        raise MediumError(str(cause))
