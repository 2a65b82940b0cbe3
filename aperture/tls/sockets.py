"""A connection under TLS that behaves, to an event loop, like the plain socket that it was.

Python's own TLS, and particular about how a stream ends: a close_notify is its end, a FIN without one is a cut (RFC
8446, 6.1), and nobody is told that bytes were all when they may not have been. (pyftpdlib's TLS needs PyOpenSSL and
takes both for the end; asyncio's costs a quarter of a megabyte for each connection.)
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from socket import socket
from typing import Any


class TlsSocket(ssl.SSLSocket):
    """A non-blocking one. What has to wait raises BlockingIOError, also while hands are being shaken.

    Attributes:
        failure: what TLS itself, or the peer by way of it, complained of; None while all is well.
    """

    failure: str | None = None

    @property
    def established(self) -> bool:
        """Whether hands have been shaken."""
        return self.version() is not None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - SSLSocket's signature
        """See SSLSocket."""
        with self._as_plain():
            super().do_handshake(block)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """See socket; empty only after a close_notify."""
        with self._as_plain():
            return super().recv(buflen, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """See socket; 0 only after a close_notify."""
        with self._as_plain():
            return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """See socket."""
        with self._as_plain():
            return super().send(data, flags)

    def close(self) -> None:
        """Say that this is the end, as far as that can be done without waiting, and close."""
        with suppress(OSError, ValueError):  # it is over, or never began
            self.unwrap()
        super().close()

    @contextmanager
    def _as_plain(self) -> Generator[None]:
        try:
            yield
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "TLS has to wait") from None
        except ssl.SSLEOFError:
            raise ConnectionResetError(errno.ECONNRESET, "the end came without a close_notify") from None
        except ssl.SSLError as error:
            self.failure = error.reason or str(error)
            raise ConnectionAbortedError(errno.ECONNABORTED, self.failure) from None


def secure(plain: socket, context: ssl.SSLContext) -> TlsSocket:
    """Take over a connected, non-blocking socket; hands are still to be shaken.

    Raises:
        OSError: the peer is gone already.
    """
    plain.getpeername()  # of a socket that isn't connected any more, Python's own would make one without TLS
    context.sslsocket_class = TlsSocket
    secured = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False)
    if not isinstance(secured, TlsSocket):
        raise TypeError("the context makes sockets of another class")
    return secured
