"""How the parts themselves log in to the MQTT broker: accounts of the server's role, whose secrets they share by file.

The database keeps hashes only, so the secret itself is in `<data>/secrets/<name>`, readable by the user who runs the
parts: `aperture bridge` in one process and `aperture broker` in another find the same one there. One account is one
connection: mosquitto takes the account's name for the client id, so a second login ends the first.
"""

import errno
import fcntl
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from aperture.contract.ids import NameRejectedError, is_slug, new_token
from aperture.settings import BrokerKind, MqttSettings, SettingsError
from aperture.store import accounts, private_file
from aperture.store.accounts import Role
from aperture.store.credentials import verify_mosquitto
from aperture.store.database import Database
from aperture.store.errors import ConflictError, DiskFullError, StoreUnavailableError

PARTS = ("broker", "bridge", "api", "doctor")
"""The parts that have an account; the broker's own is what it checks itself with."""

_WAIT_S = 15.0  # longer than the database's own patience, for whoever holds the lock may wait for that
_POLL_S = 0.02


def credentials(
    settings: MqttSettings, *, database: Database, data_dir: Path, name: str, now_ms: int
) -> tuple[str, str]:
    """Return username and password that the part `name` logs in to the broker with.

    On an external broker these are the settings'; on a broker of ours, an account that is made at the first call.

    Raises:
        SettingsError: the broker is external, and the settings have no password.
        StoreError: as `ensure`.
    """
    if settings.broker is not BrokerKind.EXTERNAL:
        return name, ensure(database, data_dir, name, now_ms)
    if settings.password is None:
        raise SettingsError("mqtt.password: an external broker wants one (APERTURE_MQTT__PASSWORD)")
    return settings.username, settings.password.get_secret_value()


def ensure(database: Database, data_dir: Path, name: str, now_ms: int) -> str:
    """Return the secret of the part `name`; make account and secret where they are missing, and match them where not.

    Blocks on disk and database for some milliseconds. Any number of threads and processes may call it at one time.

    Raises:
        NameRejectedError: `name` is no slug.
        ConflictError: the account belongs to a camera or a person.
        StoreUnavailableError: database or folder can't be used, or another process holds the folder for 15 s.
        DiskFullError: no room for the file.
    """
    if not is_slug(name):
        raise NameRejectedError(f"{name!r} can't name an account")
    folder = data_dir / "secrets"
    try:
        private_file.make_folder(folder)
        with _one_at_a_time(folder / ".lock"):
            secret = _kept_or_new(folder / name)
            if not database.read(lambda connection: _matches(connection, name, secret)):
                database.write(lambda connection: _set(connection, name, secret, now_ms))
            return secret
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"the disk with {folder} is full: make room") from error
        raise StoreUnavailableError(f"can't keep a secret in {folder}: {error.strerror or error}") from error


def _kept_or_new(path: Path) -> str:
    kept = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if kept:
        return kept
    secret = new_token()
    private_file.write(path, secret + "\n")
    return secret


def _matches(connection: Connection, name: str, secret: str) -> bool:
    known = accounts.get(connection, name)
    if known is not None and known.role is not Role.SERVER:
        raise ConflictError(f"the account {name!r} belongs to {known.role}, not to the server: revoke it")
    return known is not None and known.revoked_at_ms is None and verify_mosquitto(secret, known.mqtt_hash)


def _set(connection: Connection, name: str, secret: str, now_ms: int) -> None:
    accounts.set_server_secret(connection, name=name, secret=secret, now_ms=now_ms)


@contextmanager
def _one_at_a_time(path: Path) -> Generator[None]:
    deadline = time.monotonic() + _WAIT_S
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(f"another process has held {path} for {_WAIT_S:.0f} s") from None
                time.sleep(_POLL_S)
        yield
