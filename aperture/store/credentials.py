"""Secrets become hashes here, in the forms that the brokers read.

A token has 128 random bits, so no dictionary reaches it and the work factors can stay low: they are paid at each
connect of each camera.
"""

import base64
import hashlib
import hmac
import secrets

import bcrypt

_ITERATIONS = 101  # mosquitto_passwd's own default
_BCRYPT_ROUNDS = 6


def mosquitto_hash(secret: str) -> str:
    """Return mosquitto's `$7$iterations$salt$hash` (PBKDF2-HMAC-SHA512) of a secret."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def verify_mosquitto(secret: str, hashed: str) -> bool:
    """Whether `hashed` is the `$7$` hash of `secret`; compares in constant time. A malformed hash matches nothing."""
    try:
        _, kind, iterations, salt, digest = hashed.split("$")
        expected = base64.b64decode(digest)
        actual = hashlib.pbkdf2_hmac("sha512", secret.encode(), base64.b64decode(salt), int(iterations))
    except ValueError:
        return False
    return kind == "7" and hmac.compare_digest(actual, expected)


def bcrypt_hash(secret: str) -> str:
    """Return the `$2b$` hash of a secret, for nats-server."""
    return bcrypt.hashpw(secret.encode(), bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()


def token_hash(secret: str) -> str:
    """Return the SHA-256 (hex) of an API token: random enough to need no salt, and found by index."""
    return hashlib.sha256(secret.encode()).hexdigest()
