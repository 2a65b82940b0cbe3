"""The one error of TLS."""


class TlsError(Exception):
    """A certificate is missing, is of no use, or can't be made; the message says what to do."""
