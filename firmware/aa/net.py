"""TCP connections that can't hang: every step has a deadline, and a failed one leaves no socket behind."""

import asyncio
import socket
from errno import EINPROGRESS

from aa.dns import resolve
from aa.tls import NOT_TRUSTED, TlsError

_IPPROTO_TCP = 6
_TCP_NODELAY = 1


class Lost(Exception):
    """A connection ended, or is not worth keeping; the text says why."""


class Refused(Lost):
    """The server said no; `code` is its own."""

    def __init__(self, code, text):
        super().__init__("{} {}".format(code, text))
        self.code = code


def _writable(sock):
    yield asyncio.core._io_queue.queue_write(sock)  # type: ignore[attr-defined] # as asyncio.open_connection does


async def open_stream(host, port, timeout_ms):
    """Return (an asyncio Stream to `host`:`port`, its address in numbers).

    `asyncio.open_connection` resolves names without a deadline and leaks its socket when it is cancelled; this does
    neither. That the peer refused shows at the first read. The name is asked for each time: a server may have moved.

    Raises:
        OSError: no such name, no route, or refused at once.
        asyncio.TimeoutError: nobody answered within `timeout_ms`.
    """
    address = await resolve(host, timeout_ms)
    sock = socket.socket()
    try:
        sock.setblocking(False)
        try:
            sock.connect(socket.getaddrinfo(address, port, socket.AF_INET)[0][-1])
        except OSError as cause:
            if cause.errno != EINPROGRESS:
                raise
        await asyncio.wait_for_ms(_writable(sock), timeout_ms)
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)  # an MQTT or FTP line must not wait for an ACK of the last
    except BaseException:
        sock.close()
        raise
    return asyncio.StreamWriter(sock, {}), address


def secure(stream, tls, host):
    """Return a Stream that speaks TLS over `stream`; what is written first does the handshake, step by step.

    Raises:
        TlsError: there is no authority to trust.
    """
    return asyncio.StreamWriter(tls.wrap(stream.s, host), {})


def put(stream, data):
    """Write; what the network does not take at once waits for `flush`.

    Raises:
        TlsError: the server is not who it should be: the whole handshake may take place in here.
        OSError: the connection broke.
    """
    try:
        stream.write(data)
    except ValueError as cause:  # MicroPython's way to say that a certificate does not hold
        raise TlsError(str(cause).strip(), NOT_TRUSTED)


async def flush(stream, timeout_ms):
    """Wait until all that was written has been taken by the network.

    Raises:
        TlsError: the server is not who it should be.
        OSError, asyncio.TimeoutError: the network does not take it.
    """
    if not stream.out_buf:
        await asyncio.sleep_ms(0)  # others have their turn, and no timer is made
        return
    try:
        await asyncio.wait_for_ms(stream.drain(), timeout_ms)
    except ValueError as cause:  # as in `put`
        raise TlsError(str(cause).strip(), NOT_TRUSTED)


async def receive(stream, most, timeout_ms):
    """Return the next bytes, at most so many; none at the end.

    Raises:
        TlsError: the server is not who it should be.
        OSError, asyncio.TimeoutError: the connection broke, or nothing comes.
    """
    try:
        return await asyncio.wait_for_ms(stream.read(most), timeout_ms)
    except ValueError as cause:  # as in `put`
        raise TlsError(str(cause).strip(), NOT_TRUSTED)


async def close_stream(stream):
    """Close for good: MicroPython's `Stream.close()` does nothing. No error of a dead socket comes through."""
    try:
        await stream.wait_closed()
    except OSError:
        pass
