"""Where the CA, the certificate and their keys are, and how a listener takes them up, also when they are renewed.

A camera closes its TLS connections without a word (mbedTLS under MicroPython sends no close_notify), and so does
whoever cuts a connection: the end of the stream alone must never look like the end of what was sent.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from aperture.tls.errors import TlsError

log = structlog.get_logger(__name__)

_INIT: Final = "run `aperture tls init`"
# OpenSSL remembers a session, of about 1 KB, for each connection of a client without tickets, 20,000 of them. No camera
# comes back to one, and Python can't turn it off; a new context remembers none.
_MOST_USES: Final = 500

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files below `folder`. The certificate is renewed by replacing one file, for its key stays."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> "TlsFiles":
        """Return those of a data folder."""
        return cls(data_dir / "tls")

    @property
    def ca_pem(self) -> Path:
        """The CA's certificate, for clients that read PEM."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The CA's key. Listeners don't need it."""
        return self.folder / "ca.key"

    @property
    def ca_der(self) -> Path:
        """The CA's certificate, for cameras: MicroPython takes DER."""
        return self.folder / "ca.der"

    @property
    def server_pem(self) -> Path:
        """The server's certificate, and after it the CA's."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The server's key."""
        return self.folder / "server.key"

    def stamp(self) -> Stamp | None:
        """Return what changes when the certificate or its key does; None while one of them is missing."""
        try:
            status = [path.stat() for path in (self.server_pem, self.server_key)]
        except OSError:
            return None
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in status)

    def context(self) -> ssl.SSLContext:
        """Return what a listener needs.

        Raises:
            TlsError: there is no certificate, or it is of no use.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # Python's default would hide a cut
        context.options |= ssl.OP_NO_RENEGOTIATION
        # A client that only sends would leave them unread, and its close would be a reset (RFC 9293, 3.10.4).
        context.num_tickets = 0
        try:
            context.load_cert_chain(self.server_pem, self.server_key, password=_no_password)
        except FileNotFoundError:
            raise TlsError(f"TLS is on, but there is no certificate in {self.folder}: {_INIT}") from None
        except PermissionError:
            raise TlsError(f"TLS is on, but this user may not read the certificate in {self.folder}") from None
        except OSError as error:  # ssl.SSLError is one
            reason = getattr(error, "reason", None) or error.strerror or error
            raise TlsError(f"the certificate in {self.folder} is of no use ({reason}): {_INIT}") from error
        return context


class LiveContext:
    """What a listener needs for its next connection: looks whether the certificate was renewed."""

    def __init__(self, files: TlsFiles) -> None:
        """Load the certificate.

        Raises:
            TlsError: there is none, or it is of no use.
        """
        self._files = files
        self._stamp = files.stamp()
        self._context = files.context()
        self._uses = 0

    def current(self) -> ssl.SSLContext:
        """Return the latest that is of use; of one that isn't, the log tells once."""
        stamp, self._uses = self._files.stamp(), self._uses + 1
        if stamp is not None and stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        elif self._uses > _MOST_USES:
            with suppress(TlsError):
                self._context = self._files.context()
            self._uses = 0
        return self._context

    def _renew(self) -> None:
        try:
            self._context = self._files.context()
        except TlsError as error:
            log.warning("a new certificate can't be taken up: going on with the old one", error=str(error))
        else:
            log.info("new certificate taken up", folder=str(self._files.folder))


def _no_password() -> str:
    raise TlsError("the server's key is encrypted: nobody is there to type its password")
