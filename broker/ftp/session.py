"""A session: uploads that end in a 226 worth its name, and the few other things that can be done with files.

STOR and APPE open a partial file and let the data connection be read into it; its end goes to the commit thread, whose
reply ends the upload. Everything that needs the disk or the database is asked of that thread.
"""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false, reportPrivateUsage=false, reportUninitializedInstanceVariable=false

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from broker.ftp.control import Phase
from broker.ftp.errors import RefusedError
from broker.ftp.firmware import read
from broker.ftp.folders import Folders
from broker.ftp.known import look_up
from broker.ftp.paths import absolute
from broker.ftp.transfer import Transfer, disk_error
from broker.ftp.uploads import Declared, Reply, Target
from broker.ftp.verify import resumable

if TYPE_CHECKING:
    from aperture.store.photos import Expected
    from broker.ftp.server import Listener

T = TypeVar("T")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_DIGITS = 15


class Session(Folders):
    """A session with files."""

    def __init__(self, conn: socket.socket, server: Listener, ioloop: Any = None) -> None:
        """Take an accepted connection."""
        self._pending: Transfer | None = None  # an upload whose data connection is yet to come
        super().__init__(conn, server, ioloop=ioloop)
        if not self._closed:
            self.shared.sessions.add(self)

    def close(self) -> None:
        """End the session. What its data connection still holds is taken first: it may be the rest of a photo."""
        if self._closed:
            return
        if self.data_channel is not None:
            self.data_channel.drain()
        self._drop_pending()
        self.shared.sessions.discard(self)
        super().close()

    def flush_account(self) -> None:
        """See `Control`: an upload that still waits for its data connection goes with its account."""
        self._drop_pending()
        super().flush_account()

    # What is said of an upload in advance

    def ftp_ALLO(self, line: str) -> None:  # noqa: N802
        """Take the size of the file that comes next (RFC 959: ALLO <bytes> [R <record>])."""
        size = line.partition(" ")[0]
        if not (size.isascii() and size.isdigit() and len(size) <= _MOST_DIGITS):
            self.respond("501 ALLO takes a number of bytes.")
        elif int(size) > self.shared.settings.max_bytes:
            self.respond(f"552 This server takes files of up to {self.shared.settings.max_bytes} bytes.")
        else:
            self.declared = self.declared._replace(bytes=int(size))
            self.respond("200 Noted.")

    def ftp_SITE_SHA256(self, line: str) -> None:  # noqa: N802
        """Take the hash of the whole file that comes next."""
        sha256 = line.strip().lower()
        if not _SHA256.fullmatch(sha256):
            self.respond("501 SITE SHA256 takes 64 hexadecimal digits.")
            return
        self.declared = self.declared._replace(sha256=sha256)
        self.respond("200 Noted.")

    def ftp_REST(self, line: str) -> None:  # noqa: N802
        """Take the offset at which the next transfer begins (RFC 3659, 5)."""
        if not (line.isascii() and line.isdigit() and len(line) <= _MOST_DIGITS):
            self.respond("501 REST takes a number of bytes.")
            return
        self._restart_position = int(line)
        self.respond(f"350 The next transfer begins at byte {line}.")

    # Uploads

    def ftp_STOR(self, line: str) -> None:  # noqa: N802
        """Take a photo, or with REST the rest of one."""
        self._upload(line, append=False)

    def ftp_APPE(self, line: str) -> None:  # noqa: N802
        """Take what comes after the bytes that are here already."""
        self._upload(line, append=True)

    def _upload(self, line: str, *, append: bool) -> None:
        rest, self._restart_position = self._restart_position, 0
        declared, self.declared = self.declared, Declared()
        try:
            target = self.root.target(absolute(self.cwd, line))
            self._need_data_connection()
        except RefusedError as refused:
            self._refuse(refused)
            return
        if append:
            rest = 0  # RFC 959 gives REST no meaning before APPE: the end of the file is where it goes on
        self._begin(target, rest, declared, append=append)

    def _begin(self, target: Target, rest: int, declared: Declared, *, append: bool) -> None:
        self.shared.evict(target, self)
        if target in self.shared.committing:
            self._ask(lambda: None, lambda _: self._begin(target, rest, declared, append=append))
            return
        here = self.shared.partials.length(target) or 0 if append or rest else 0
        if append and here:
            self._ask(
                lambda: self._resumable(target, self._known(target)),
                lambda at: self._begin_at_end(target, declared, at=at or 0),
            )
        elif rest > here:  # there may be no partial file because the photo is stored
            self._ask(
                lambda: self._stored_length(target),
                lambda stored: self._begin_at_stored(target, rest, declared, stored=stored, here=here),
            )
        else:
            self._open(target, rest, declared, append=append)

    def _begin_at_end(self, target: Target, declared: Declared, *, at: int) -> None:
        """Append where SIZE says that the file ends, which may be before its last byte (see `resumable`)."""
        if self.shared.is_busy(target):  # another session was quicker
            self._begin(target, 0, declared, append=True)
        else:
            self._open(target, at, declared, append=True)

    def _begin_at_stored(self, target: Target, rest: int, declared: Declared, *, stored: int | None, here: int) -> None:
        if self.shared.is_busy(target):  # another session was quicker
            self._begin(target, rest, declared, append=False)
        elif stored is not None and rest <= stored:
            self._open(target, rest, declared, append=False, scratch=True)
        else:
            self._refuse(RefusedError(554, f"REST {rest}: only {here} bytes of it are here."))

    def _open(self, target: Target, offset: int, declared: Declared, *, append: bool, scratch: bool = False) -> None:
        limit = self.shared.settings.max_bytes
        if offset > limit:
            self._refuse(RefusedError(552, "The file is larger than this server takes."))
            return
        try:
            handle = self.shared.partials.open(target, 0 if scratch else offset)
        except OSError as error:
            self._refuse(disk_error(error))
            return
        if not offset:
            self.shared.begun.add(target)
        transfer = Transfer(
            target=target,
            path=self.shared.partials.path(target),
            handle=handle,
            offset=offset,
            scratch=scratch,
            declared=declared,
            appended=append,
            fresh=target in self.shared.begun,
            max_bytes=limit,
        )
        self.shared.active[target] = self
        self._start(transfer)

    def _start(self, transfer: Transfer) -> None:
        if self.data_channel is None:
            self.respond("150 Ready for the data connection.")
            self._pending = transfer
        else:
            self.respond("125 Ready for the bytes.")
            self.phase = Phase.RECEIVING
            self.data_channel.take(transfer)

    def _on_dtp_connection(self) -> None:
        """See FTPHandler: the data connection is there."""
        super()._on_dtp_connection()
        transfer, self._pending = self._pending, None
        if transfer is not None and self.data_channel is not None:
            self.phase = Phase.RECEIVING
            self.data_channel.take(transfer)

    def upload_ended(self, transfer: Transfer, *, broken: bool) -> None:
        """Hand a transfer over to the commit thread: its data connection is closed."""
        self.phase = Phase.HELD
        target, length = transfer.target, transfer.length
        self.shared.active.pop(target, None)
        self.shared.committing.add(target)
        upload = transfer.finish(broken=broken, done=lambda reply: self._committed(target, length, reply))
        self.shared.committer.submit(upload, session=id(self))

    def _committed(self, target: Target, length: int, reply: Reply) -> None:
        self.shared.committing.discard(target)
        if reply.line[0] != "4":  # no partial file is left
            self.shared.begun.discard(target)
        if reply.line.startswith("226"):
            self.root.uploaded(target, length)
        self.release(reply.line)

    def upload_cut(self, transfer: Transfer) -> None:
        """Keep what came of a transfer that won't end by itself."""
        transfer.close()
        self.shared.active.pop(transfer.target, None)

    def give_way(self) -> None:
        """Close this session: a new one has come for the same photo, so this one's peer is gone."""
        self.respond("421 Another session goes on with this photo.")
        self.close()

    def ftp_ABOR(self, line: str) -> None:  # noqa: N802
        """Stop a transfer. Never answered with 226, which would look like a photo's (RFC 959 allows 225)."""
        del line
        uploading = self._pending is not None or self.phase is Phase.RECEIVING
        busy = uploading or (self.data_channel is not None and self.data_channel.transfer_in_progress())
        self._drop_pending()
        self._shutdown_connecting_dtp()
        self._close_data()
        if self.phase is not Phase.HELD:
            self.release(*["426 Stopped."] * busy, "225 Nothing is being transferred.")

    def no_data_connection(self) -> None:
        """Nobody came to the passive port in time: answer whatever waits for it."""
        waited = self._pending is not None or self._out_dtp_queue is not None
        self._drop_pending()
        self._out_dtp_queue = None
        self._dtp_acceptor = None
        if waited:
            self.respond("425 No data connection came.")

    # Reading

    def ftp_SIZE(self, path: str) -> None:  # noqa: N802
        """Tell how much of a file is here, and with that where to go on (RFC 3659, 4)."""
        try:
            full = absolute(self.cwd, path)
            if full.startswith("/firmware/"):
                self._ask(lambda: self.root.firmware(full).stat().st_size, lambda size: self.respond(f"213 {size}"))
                return
            target = self.root.target(full)
        except RefusedError as refused:
            self.respond(f"550 {refused}")
            return
        self.shared.evict(target, self)
        self._ask(lambda: self._size(target), lambda size: self.respond(f"213 {size}"))

    def _size(self, target: Target) -> int:
        """Return how much of an upload is here. Runs in the commit thread."""
        known = self._known(target)
        if known is not None and known.stored_bytes is not None:
            return known.stored_bytes
        length = self._resumable(target, known)
        if length is None:
            length = self.root.remembered(target)
        if length is None and (known is not None or self.shared.partials.is_set_aside(target)):
            length = 0
        if length is None:
            raise RefusedError(550, "There is no such file.")
        return length

    def _resumable(self, target: Target, known: Expected | None) -> int | None:
        """Return where an unfinished upload goes on, None when nothing of it is here. Runs in the commit thread."""
        data = self.shared.partials.read(target)
        if data is None:
            return None
        return resumable(data, total=known.bytes if known else None, fresh=target in self.shared.begun)

    def _stored_length(self, target: Target) -> int | None:
        """Return a stored photo's length. Runs in the commit thread."""
        known = self._known(target)
        return known.stored_bytes if known is not None else None

    def _known(self, target: Target) -> Expected | None:
        """Return what is known of a photo of this camera. Runs in the commit thread."""
        kit, photo = self.shared.kit, target.photo
        if photo is None:
            return None
        known = kit.database.read(lambda connection: look_up(connection, kit.blobs, photo))
        return known if known is not None and known.camera == target.camera else None

    def ftp_RETR(self, path: str) -> None:  # noqa: N802
        """Send a file of the firmware, or the signature of one."""
        rest, self._restart_position = self._restart_position, 0
        try:
            full = absolute(self.cwd, path)
            self._need_data_connection()
        except RefusedError as refused:
            self._refuse(refused)
            return
        root = self.root
        self._ask(
            lambda: read(root, full, self.shared.kit.database),
            lambda data: self.push_dtp_data(data[rest:], cmd="RETR"),
        )

    def ftp_LIST(self, path: str) -> None:  # noqa: N802
        """Send an empty list: what was handed over is not read back over FTP."""
        try:
            self.root.list(path)
            self._need_data_connection()
        except RefusedError as refused:
            self._refuse(refused)
            return
        self.push_dtp_data(b"", cmd="LIST")

    ftp_NLST = ftp_MLSD = ftp_LIST  # noqa: N815

    # Helpers

    def _ask(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Have the commit thread do `work`, and go on with what it returns; everything else waits."""
        self.phase = Phase.HELD

        def answer(result: T | RefusedError) -> None:
            if isinstance(result, RefusedError):
                self.release(then=lambda: self._refuse(result))
            else:
                self.release(then=lambda: then(result))

        self.shared.committer.ask(work, answer)

    def _need_data_connection(self) -> None:
        """Take the data connection if it has come, or else see that it may; whatever waited for it before gives up.

        Raises:
            RefusedError: nobody has asked for one, or it would be in the clear and must not.
        """
        self._drop_pending()
        self._out_dtp_queue = None
        try:
            if self._dtp_acceptor is not None:
                self._dtp_acceptor.handle_accept()  # here already? Then the bytes come before any later command
        except OSError as error:
            raise RefusedError(425, "The data connection can't be taken now; try again later.") from error
        self.need_protection()
        if self.data_channel is None and self._dtp_acceptor is None:
            raise RefusedError(425, "Open a data connection first, with EPSV or PASV.")

    def _refuse(self, refused: RefusedError) -> None:
        """Refuse a transfer, and close the data connection that was meant for it: the next must not read its bytes."""
        self._shutdown_connecting_dtp()
        receiving = self.phase is Phase.RECEIVING
        self._close_data()
        if receiving:
            self.release(refused.reply)
        else:
            self.respond(refused.reply)

    def _close_data(self) -> None:
        if self.data_channel is not None:
            self.data_channel.close()
        if self.phase is Phase.RECEIVING:  # what was being received is cut
            self.phase = Phase.IDLE

    def _drop_pending(self) -> None:
        transfer, self._pending = self._pending, None
        if transfer is not None:
            self.upload_cut(transfer)
