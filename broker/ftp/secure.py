"""A control connection that can go over to TLS: AUTH, PBSZ and PROT (RFC 4217), and what is refused without them."""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportIncompatibleMethodOverride=false, reportUninitializedInstanceVariable=false

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import structlog

from aperture.settings import FtpTls
from aperture.tls.sockets import TlsSocket, secure
from broker.ftp.control import Control
from broker.ftp.errors import RefusedError

if TYPE_CHECKING:
    from broker.ftp.server import Listener

log = structlog.get_logger(__name__)

_NO_TLS = "502 There is no TLS on this server (ftp.tls)."


class Secure(Control):
    """A session as far as it needs no file, in the clear or not.

    Attributes:
        protects_data: whether data connections are under TLS.
    """

    ac_in_buffer: bytes

    def __init__(self, conn: socket.socket, server: Listener, ioloop: Any = None) -> None:
        """Take an accepted connection."""
        self.protects_data = False
        self._sized = False
        self._promised = False  # the 234 is on its way: what comes after it is TLS
        super().__init__(conn, server, ioloop=ioloop)

    @property
    def is_secure(self) -> bool:
        """Whether this connection is under TLS."""
        return isinstance(self.socket, TlsSocket)

    @property
    def _demands_tls(self) -> bool:
        return self.shared.settings.tls is FtpTls.REQUIRE

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """See `Control`: no password is taken in the clear where TLS is demanded."""
        if cmd in {"USER", "PASS"} and self._demands_tls and not self.is_secure:
            self.respond("534 This server takes logins under TLS only: send AUTH TLS first.")
        else:
            super().pre_process_command(line, cmd, arg)

    def need_protection(self) -> None:
        """Refuse bytes that would go in the clear where TLS is demanded.

        Raises:
            RefusedError: they would.
        """
        if self._demands_tls and not self.protects_data:
            raise RefusedError(521, "This server takes data under TLS only: send PBSZ 0 and PROT P first.")

    def ftp_AUTH(self, line: str) -> None:  # noqa: N802 - pyftpdlib finds commands by name
        """Go over to TLS, and forget who this was."""
        if self.shared.tls is None:
            self.respond(_NO_TLS)
        elif self.is_secure:
            self.respond("503 This connection is under TLS already.")
        elif line.upper() not in {"TLS", "TLS-C"}:
            self.respond("504 Only AUTH TLS.")
        elif self.ac_in_buffer or self.has_waiting:
            # It came in the clear, perhaps from somebody else: it must not be obeyed as if it had come under TLS.
            self.say_goodbye("503 Nothing may follow AUTH before its reply.")
            self.close()
        else:
            if self.authenticated:
                self.flush_account()
            self.username = ""
            self._promised = True
            self.respond("234 Shake hands.")

    def ftp_PBSZ(self, line: str) -> None:  # noqa: N802
        """Agree that TLS needs no buffer size, which PROT wants to be said first."""
        del line
        if not self.is_secure:
            self.respond("503 Send AUTH TLS first.")
        else:
            self._sized = True
            self.respond("200 PBSZ=0")

    def ftp_PROT(self, line: str) -> None:  # noqa: N802
        """Choose whether data connections are under TLS (P) or in the clear (C)."""
        level = line.upper()
        if not self._sized:
            self.respond("503 Send PBSZ 0 first." if self.is_secure else "503 Send AUTH TLS first.")
        elif level == "P":
            self.protects_data = True
            self.respond("200 Data goes under TLS.")
        elif level == "C" and self._demands_tls:
            self.respond("534 This server takes data under TLS only.")
        elif level == "C":
            self.protects_data = False
            self.respond("200 Data goes in the clear.")
        else:
            self.respond("536 Only PROT P and PROT C." if level in {"S", "E"} else "504 Only PROT P and PROT C.")

    def ftp_REIN(self, line: str) -> None:  # noqa: N802
        """Start anew, but not under TLS: the connection would have to go back to the clear (RFC 4217, 11)."""
        if self.is_secure:
            self.respond("502 Not under TLS: close, and connect anew.")
        else:
            super().ftp_REIN(line)

    @property
    def features(self) -> tuple[str, ...]:
        """See `Control`."""
        return super().features if self.shared.tls is None else (*super().features, "AUTH TLS", "PBSZ", "PROT")

    def initiate_send(self) -> None:
        """Send replies; right after the 234 the connection is TLS."""
        super().initiate_send()
        if self._promised and not self.producer_fifo and not self._closed:
            self._promised = False
            self._go_over()

    def _go_over(self) -> None:
        tls = self.shared.tls
        try:
            if tls is not None and self.socket is not None:
                self.socket = secure(self.socket, tls.current())
        except OSError:  # the peer is gone
            self.close()

    def handle_timeout(self) -> None:
        """See `Control`: to somebody who has not shaken hands nothing can be said."""
        if isinstance(self.socket, TlsSocket) and not self.socket.established:
            self.close()
        else:
            super().handle_timeout()

    def close(self) -> None:
        """End the session."""
        if not self._closed and isinstance(self.socket, TlsSocket):
            self.tell_failure(self.socket)
        super().close()

    def tell_failure(self, connection: TlsSocket) -> None:
        """Log what TLS complained of: a camera that does not trust the CA has no other way to say so."""
        ration = self.shared.refusals
        if connection.failure is not None and ration.allows():
            log.warning(
                "ftp tls failed",
                reason=connection.failure.lower().replace("_", " "),
                camera=self.username[:32] or None,
                address=self.remote_ip,
                unsaid=ration.take_unsaid(),
            )
