"""What is wrong with a link, in words that fit the display: (what it is, what to do), each of 16 characters at most."""

import asyncio

from aa import tls
from aa.dns import NameNotFound
from aa.net import Lost, Refused

WIFI_PASSWORD = ("Wi-Fi password", "check secrets")
NO_WIFI = ("No Wi-Fi", "is it in reach?")
WIFI_NO_ADDRESS = ("No IP address", "restart router?")
WIFI_DEAF = ("Wi-Fi is stuck", "it starts anew")
NO_NETWORKS = ("No Wi-Fi known", "check secrets")
NO_CA = ("No /ca.der", "flash it again")
BAD_CERTIFICATE = ("Bad certificate", "aperture tls")
NO_TLS = ("Server lacks TLS", "turn it on there")
ONLY_TLS = ("Server wants TLS", "flash it again")
UNKNOWN_SERVER = ("Unknown server", "check its name")
NO_ANSWER = ("No answer", "is server up?")
TOKEN = ("Token refused", "check secrets")
SERVER_BUSY = ("Server is busy", "tries again")
SERVER_FULL = ("Server is full", "make room there")
PHOTO_REFUSED = ("Photo refused", "see server's log")
CARD = ("Photo unreadable", "check the card")
LOST = ("Connection lost", "tries again")
_TLS = {tls.NO_CA: NO_CA, tls.NOT_TRUSTED: BAD_CERTIFICATE, tls.NOT_SPOKEN: NO_TLS}
_CODES = {421: SERVER_BUSY, 452: SERVER_FULL, 552: SERVER_FULL, 530: TOKEN, 332: TOKEN, 4: TOKEN, 5: TOKEN}
_CODES[534] = _CODES[521] = ONLY_TLS  # RFC 4217, 11
_LAST_WORDS = (TOKEN, ONLY_TLS)


def of_link(cause):
    """Return the words for the exception that ended a connection."""
    if isinstance(cause, tls.TlsError):
        return _TLS[cause.kind]
    if isinstance(cause, NameNotFound):
        return UNKNOWN_SERVER
    if isinstance(cause, Refused):
        return _CODES.get(cause.code, SERVER_BUSY)
    if isinstance(cause, Lost):
        return LOST
    if isinstance(cause, (OSError, EOFError, asyncio.TimeoutError)):
        return NO_ANSWER
    return LOST


def of_photo(cause):
    """Return the words for the exception that put a photo off."""
    if isinstance(cause, Refused):
        return _CODES.get(cause.code, PHOTO_REFUSED)
    return CARD


def full(name):
    """Return the words for a medium, "Card" or "Flash", that has no room for one more photo."""
    return name + " full", "bring near Wi-Fi"


def is_last_word(cause):
    """Whether trying again soon would be of no use: someone has to see to it."""
    if isinstance(cause, tls.TlsError):
        return True
    return isinstance(cause, Refused) and _CODES.get(cause.code) in _LAST_WORDS
