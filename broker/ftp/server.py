"""The FTP server: one event loop in a thread of its own, a commit thread, and a thread that watches the accounts."""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false, reportPrivateUsage=false, reportUninitializedInstanceVariable=false

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from aperture.settings import FtpSettings, FtpTls
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database
from aperture.tls.errors import TlsError
from aperture.tls.files import LiveContext, TlsFiles
from broker.ftp.accounts import Accounts
from broker.ftp.batch import Kit
from broker.ftp.commit import Committer
from broker.ftp.engine import FTPServer, IOLoop
from broker.ftp.errors import FtpError
from broker.ftp.mailbox import Mailbox
from broker.ftp.partials import Partials
from broker.ftp.session import Session
from broker.ftp.shared import Shared
from broker.ftp.sweep import sweep
from broker.ftp.threads import join

log = structlog.get_logger(__name__)

_BACKLOG = 256
_BREATH_S = 0.5
_DESCRIPTORS_PER_SESSION = 4  # control, listener, data, file
_OTHER_DESCRIPTORS = 256  # of the other parts in this process


class Listener(FTPServer):
    """The listening socket. Runs out of descriptors without giving up."""

    def __init__(self, *, shared: Shared, ioloop: Any) -> None:
        """Listen where the settings say."""
        settings = shared.settings
        self.shared = shared
        self.max_cons = settings.max_connections
        self.max_cons_per_ip = settings.max_per_address
        super().__init__((settings.host, settings.port), Session, ioloop=ioloop, backlog=_BACKLOG)

    def _accept_new_cons(self) -> bool:
        self.shared.make_room()
        return len(self.ip_map) <= self.max_cons  # sessions; pyftpdlib would count every socket of the loop

    def handle_error(self) -> None:
        """Take a breath when a connection can't be accepted (too many open files), rather than close for good."""
        log.error("a connection could not be accepted", exc_info=sys.exception())
        self.del_channel()
        self.ioloop.call_later(_BREATH_S, self._listen_again)

    def _listen_again(self) -> None:
        if not self._closed:
            self.add_channel()


class FtpServer:
    """The FTP server of `aperture broker`. A server runs once: make a new one to start again."""

    def __init__(
        self,
        *,
        settings: FtpSettings,
        database: Database,
        blobs: LocalBlobs,
        partial_dir: Path,
        firmware_dir: Path | None = None,
        tls_files: TlsFiles | None = None,
        on_stored: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            settings: Where to listen, and limits.
            database: The open store. Accounts are read from it, photos are written to it.
            blobs: Where photos' bytes go.
            partial_dir: The folder of unfinished uploads, on the same file system as the photos.
            firmware_dir: What cameras may read as `/firmware/`, if anything.
            tls_files: The certificate; needed where `settings.tls` is not off.
            on_stored: Called from the commit thread after each batch of stored photos: a hint, for the rows are there.
        """
        self._settings = settings
        self._kit = Kit(database=database, blobs=blobs, partials=Partials(root=partial_dir))
        self._firmware_dir = firmware_dir
        self._tls_files = tls_files
        self._on_stored = on_stored
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.host = settings.host
        self.port = settings.port

    def start(self) -> None:
        """Sweep up, listen and serve; returns once connections are accepted, and `port` is the real one.

        Blocks for as long as the sweep takes: from asyncio call it through `asyncio.to_thread`.

        Raises:
            FtpError: the address can't be listened on, or FTPS is asked for and there is no certificate.
            StoreError: the database does not answer.
        """
        if self._thread is not None:
            raise FtpError("this server was started already: make a new one")
        tls = self._load_certificate()
        _raise_descriptor_limit(self._settings.max_connections)
        sweep(self._kit, partial_days=self._settings.partial_days)
        self._prepare(tls)
        try:
            self._accounts.load()
            self._listener = Listener(shared=self._shared, ioloop=self._ioloop)
        except OSError as error:
            self._shut()
            where = f"{self._settings.host}:{self._settings.port}"
            raise FtpError(f"can't serve FTP on {where}: {error.strerror or error}; choose another port") from error
        except Exception:
            self._shut()
            raise
        self.host, self.port = self._listener.address
        self._accounts.start()
        self._committer.start()
        self._thread = threading.Thread(target=self._serve, name="ftp-loop", daemon=True)
        self._thread.start()
        log.info("ftp server listens", host=self.host, port=self.port)

    def stop(self) -> None:
        """Close the listener, let the commit thread finish and answer, then close every session. May be repeated.

        Blocks for a moment: from asyncio call it through `asyncio.to_thread`.
        """
        if self._thread is None or self._stopping:
            return
        self._mailbox.post(self._listener.close)
        self._accounts.close()
        self._committer.close()
        self._mailbox.post(self._end)
        join(self._thread)

    def _load_certificate(self) -> LiveContext | None:
        if self._settings.tls is FtpTls.OFF:
            return None
        if self._tls_files is None:
            raise FtpError("ftp.tls is not off, but this server was given no certificate")
        try:
            return LiveContext(self._tls_files)
        except TlsError as error:
            raise FtpError(f"can't serve FTPS (ftp.tls): {error}") from error

    def _prepare(self, tls: LiveContext | None) -> None:
        self._ioloop = IOLoop()
        self._mailbox = Mailbox(ioloop=self._ioloop)
        self._committer = Committer(
            kit=self._kit,
            post=self._mailbox.post,
            on_stored=self._on_stored,
            partial_days=self._settings.partial_days,
        )
        self._accounts = Accounts(database=self._kit.database, post=self._mailbox.post, on_change=self._recheck)
        self._shared = Shared(
            settings=self._settings,
            kit=self._kit,
            accounts=self._accounts,
            committer=self._committer,
            firmware_dir=self._firmware_dir,
            tls=tls,
        )

    def _shut(self) -> None:
        self._mailbox.close()
        self._ioloop.close()

    def _serve(self) -> None:
        timeout: float | None = None
        while not self._stopping:
            try:
                self._ioloop.poll(timeout)
                timeout = self._ioloop.sched.poll()
            except Exception:
                log.exception("unexpected error in the ftp loop")
        for session in list(self._shared.sessions):
            session.close()
        self._shut()

    def _end(self) -> None:
        self._stopping = True

    def _recheck(self) -> None:
        """Close the sessions of accounts that were revoked or have a new secret."""
        for session in list(self._shared.sessions):
            account = session.account
            if account is not None and not self._accounts.is_current(account):
                log.info("ftp session closed, as its account was revoked or changed", camera=account.name)
                session.say_goodbye("421 This account was revoked or has a new password.")
                session.close()


def _raise_descriptor_limit(connections: int) -> None:
    """Have room for every session's sockets and file, as far as the system allows; say so where it does not."""
    wanted = connections * _DESCRIPTORS_PER_SESSION + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    room = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, room), hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files can't be raised", limit=soft, wanted=wanted, error=str(error))
        return
    if room < wanted:
        log.warning("too few open files allowed for ftp.max_connections: raise ulimit -n", limit=room, wanted=wanted)
