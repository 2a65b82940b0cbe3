"""Who may log in, from a copy of the accounts that a thread keeps fresh: the event loop never asks the database.

The copy is compared by `accounts.revision` a few times a second. A login that fails asks for a fresh copy before it
is refused, so that an account works as soon as it has been added.
"""

import threading
from collections import deque
from collections.abc import Callable

import structlog

from aperture.store import accounts
from aperture.store.accounts import Account, Role
from aperture.store.credentials import mosquitto_hash, verify_mosquitto
from aperture.store.database import Database
from broker.ftp.threads import join

log = structlog.get_logger(__name__)

_POLL_S = 0.4


class Accounts:
    """The cameras' accounts."""

    def __init__(
        self, *, database: Database, post: Callable[[Callable[[], None]], None], on_change: Callable[[], None]
    ) -> None:
        """Take `post`, which runs a call in the event loop; `on_change` is called there when any account changed."""
        self._database = database
        self._post = post
        self._on_change = on_change
        self._known: dict[str, Account] = {}
        self._revision = -1
        self._waiting: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._silent = False
        self._nobody = mosquitto_hash("nobody")
        self._thread = threading.Thread(target=self._run, name="ftp-accounts", daemon=True)

    def load(self) -> bool:
        """Read the accounts if they have changed; return whether they have.

        Raises:
            StoreUnavailableError: they can't be read.
        """
        revision = self._database.read(accounts.revision)
        if revision == self._revision:
            return False
        cameras = self._database.read(lambda connection: accounts.active(connection, role=Role.CAMERA))
        self._known = {account.name: account for account in cameras}
        self._revision = revision
        return True

    def start(self) -> None:
        """Keep the accounts fresh from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wake.set()
        join(self._thread)

    def check(self, name: str, secret: str) -> Account | None:
        """Return the camera's account that this name and secret open. An unknown name takes as long as a known one."""
        account = self._known.get(name)
        fits = verify_mosquitto(secret, account.mqtt_hash if account else self._nobody)
        return account if fits else None

    def is_current(self, account: Account) -> bool:
        """Whether an account that logged in is still there, with the same secret."""
        known = self._known.get(account.name)
        return known is not None and known.mqtt_hash == account.mqtt_hash and known.ftp_only == account.ftp_only

    def refresh(self, then: Callable[[], None]) -> None:
        """Read the accounts anew, then call `then` in the event loop, whether that worked or not."""
        self._waiting.append(then)
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_POLL_S)
            self._wake.clear()
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._try_load()
            for then in waiting:
                self._post(then)

    def _try_load(self) -> None:
        try:
            changed = self.load()
        except Exception as error:  # noqa: BLE001 - whatever it is, revocations must be seen once it is over
            if not self._silent:
                log.warning("accounts can't be read: the last known ones stay in force", error=str(error))
            self._silent = True
            return
        self._silent = False
        if changed:
            self._post(self._on_change)
