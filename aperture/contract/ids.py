"""Names: camera slugs, photo ids, and the rules that make them safe as topics, file names and URLs."""

import base64
import hashlib
import re
import secrets

SLUG = re.compile(r"[a-z0-9-]{1,32}")
PHOTO_ID = re.compile(r"[a-z2-7]{26}")

RESERVED_NAMES = frozenset({"server", "broker", "bridge", "api", "doctor", "aperture", "homeassistant"})
"""Names that no camera and no account may take: topics and the parts' own accounts use them."""

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class ContractError(ValueError):
    """The root of what this package raises: something said does not fit the contract."""


class NameRejectedError(ContractError):
    """A camera's or account's name is no slug, or is reserved."""


def check_name(name: str) -> str:
    """Return `name` when it can name a camera or an account.

    Raises:
        NameRejectedError: it is not 1 to 32 of a-z, 0-9 and "-", or it is reserved.
    """
    if not SLUG.fullmatch(name):
        raise NameRejectedError(f"{name!r} is no valid name: take 1 to 32 of a-z, 0-9 and '-', like 'front-door'")
    if name in RESERVED_NAMES:
        raise NameRejectedError(f"{name!r} is reserved for the server's own use: take another name")
    return name


def is_slug(text: str) -> bool:
    """Whether `text` has the form of a camera's name."""
    return SLUG.fullmatch(text) is not None


def is_photo_id(text: str) -> bool:
    """Whether `text` has the form of a photo's id: 26 characters of lower-case base32."""
    return PHOTO_ID.fullmatch(text) is not None


def new_photo_id() -> str:
    """Return 128 random bits as 26 characters of lower-case base32 (RFC 4648 without padding)."""
    bits = secrets.randbits(128) << 2  # 130 bits are 26 characters of 5
    return "".join(_BASE32[bits >> shift & 31] for shift in range(125, -1, -5))


def recovered_photo_id(seq: int, sha256: str) -> str:
    """Return the id that a camera gives its photo number `seq` when its card lost the one that it had."""
    digest = hashlib.sha256(f"recovered {seq} {sha256}".encode()).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def new_command_id() -> str:
    """Return the id of a new command; same form as a photo's."""
    return new_photo_id()


def new_token() -> str:
    """Return a new secret of 128 random bits, in characters that survive shells, URLs and JSON."""
    return new_photo_id()
