"""TLS as the camera speaks it: certificates of one authority, the owner's own, and the server's name checked.

The authority's certificate lies in `/ca.der`; it is read at the first connection, and its context is shared by all,
for memory is short. Nothing is ever sent in clear because something is missing. The chip checks a certificate's dates
against its own clock, which starts in 2000 with the power: the server's certificates must be valid from then on.
"""

CA_FILE = "/ca.der"
NO_CA, NOT_TRUSTED, NOT_SPOKEN = "no CA", "not trusted", "not spoken"


class TlsError(OSError):
    """There can be no secure connection; the text says why, `kind` what sort of reason it is."""

    def __init__(self, text, kind):
        super().__init__(text)
        self.kind = kind


class Tls:
    """Makes connections secure; `path` is the authority's certificate in DER."""

    def __init__(self, path=CA_FILE):
        self._path = path
        self._context = None

    def load(self):
        """Return the context that all connections share.

        Raises:
            TlsError: there is no authority to trust.
        """
        if self._context is None:
            import ssl  # here, for most cameras never need it

            try:
                with open(self._path, "rb") as file:
                    authority = file.read()
            except OSError:
                raise TlsError(self._path + " is missing", NO_CA)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined] # its default is to trust anyone
            try:
                context.load_verify_locations(cadata=authority)
            except (OSError, ValueError):
                raise TlsError(self._path + " is no certificate in DER", NO_CA)
            self._context = context
        return self._context

    def wrap(self, sock, host):
        """Return a socket around `sock` that waits for nothing; the first write starts the handshake.

        Raises:
            TlsError: there is no authority to trust.
        """
        return self.load().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
