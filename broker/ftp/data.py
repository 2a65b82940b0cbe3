"""Data connections: accepted from the session's own peer alone, and not read before there is a STOR or APPE.

A camera in a hurry sends its bytes, and even its FIN, ahead of the reply to STOR; pyftpdlib would throw them away. Here
the connection joins the event loop only once it has something to do: until then the kernel's buffer holds the bytes.
"""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingParameterType=false
# pyright: reportUnknownArgumentType=false, reportIncompatibleMethodOverride=false, reportPrivateUsage=false
# pyright: reportOptionalMemberAccess=false, reportUninitializedInstanceVariable=false

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from broker.ftp.engine import DTPHandler, PassiveDTP
from broker.ftp.errors import RefusedError

if TYPE_CHECKING:
    from broker.ftp.session import Session
    from broker.ftp.transfer import Transfer

log = structlog.get_logger(__name__)

STALL_S = 60
_ROUNDS = 4  # reads before other connections have their turn
_DRAIN_ROUNDS = 64


class DataChannel(DTPHandler):
    """One data connection."""

    timeout = STALL_S

    def __init__(self, sock: socket.socket, cmd_channel: Session) -> None:
        """Take an accepted connection of a session."""
        self.transfer: Transfer | None = None
        with suppress(OSError):  # reset before it was accepted
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock, cmd_channel)

    def add_channel(self, map: Any = None, events: int | None = None) -> None:  # noqa: A002 - asyncore's name
        """Join the loop, but not before there is something to do."""
        del map
        if self._initialized:
            super().add_channel(events=events)

    def take(self, transfer: Transfer) -> None:
        """Read the connection to its end into `transfer`; the session is told of the end."""
        self.transfer = transfer
        self.receive = True
        self._pump(_ROUNDS)
        if not self._closed:
            self._initialized = True
            self.modify_ioloop_events(self.ioloop.READ)

    def drain(self) -> None:
        """Take what the kernel holds, and perhaps the end, before the connection is given up."""
        if self.transfer is not None:
            self._pump(_DRAIN_ROUNDS)

    def handle_read_event(self) -> None:
        """See asyncore."""
        self._pump(_ROUNDS)

    def handle_close(self) -> None:
        """See asyncore: the peer is gone."""
        if self.transfer is None:
            super().handle_close()
        else:
            self.drain()
            if not self._closed:
                self.fail(RefusedError(426, f"The connection broke; {self.transfer.length} bytes are kept."))

    def handle_timeout(self) -> None:
        """Give up on a peer that has sent nothing for `STALL_S`."""
        if self.transfer is None and self._initialized:
            super().handle_timeout()
        elif self.get_transmitted_bytes() > self._lastdata:
            self._lastdata = self.get_transmitted_bytes()
        elif self.transfer is None:
            self.close()
        else:
            self.fail(RefusedError(426, f"Nothing came for {self.timeout} s; {self.transfer.length} bytes are kept."))

    def handle_error(self) -> None:
        """See asyncore: something raised what it should not."""
        if self.transfer is None:
            super().handle_error()
        else:
            log.error("unexpected error in an upload", exc_info=sys.exception())
            self.fail(RefusedError(451, "The server failed; send it again later."))

    def fail(self, refused: RefusedError) -> None:
        """End the upload early: what came stays, and the client is told why."""
        session = self.cmd_channel
        self.close()
        session.release(refused.reply)

    def close(self) -> None:
        """Close the connection; an upload that is under way stays as a partial file."""
        if self._closed:
            return
        transfer, self.transfer = self.transfer, None
        super().close()
        if transfer is not None:
            self.cmd_channel.upload_cut(transfer)

    def _pump(self, rounds: int) -> None:
        buffer = self.cmd_channel.shared.buffer
        for _ in range(rounds):
            transfer = self.transfer
            if transfer is None:
                return
            try:
                count = self.socket.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                self._ended(transfer, broken=True)
                return
            if not count:
                self._ended(transfer, broken=False)
                return
            self.tot_bytes_received += count
            try:
                transfer.write(buffer[:count])
            except RefusedError as refused:
                self._no_room(transfer, refused)
                return

    def _ended(self, transfer: Transfer, *, broken: bool) -> None:
        session, self.transfer = self.cmd_channel, None
        self.close()  # RFC 959, 3.3: the connection is closed before the reply
        session.upload_ended(transfer, broken=broken)

    def _no_room(self, transfer: Transfer, refused: RefusedError) -> None:
        if refused.code == 552:  # noqa: PLR2004 - too large: no rest of it will ever be wanted
            self.cmd_channel.shared.partials.discard(transfer.target)
        self.fail(refused)


class PassiveListener(PassiveDTP):
    """Waits for a session's data connection."""

    def handle_accepted(self, sock: socket.socket, addr: tuple[Any, ...]) -> None:
        """Take the connection if it comes from where the session does; else say nothing about it to the session."""
        if addr[0] == self.cmd_channel.remote_ip:
            super().handle_accepted(sock, addr)
            if self.cmd_channel.connected and self.cmd_channel.data_channel is None:
                self.cmd_channel.no_data_connection()  # unless it has served its purpose by now
        else:
            log.warning("data connection from another address refused", address=addr[0])
            sock.close()

    def handle_timeout(self) -> None:
        """Stop waiting; tell the session only if it is waiting too."""
        self.close()
        self.cmd_channel.no_data_connection()

    def handle_error(self) -> None:
        """See asyncore: the connection can't be accepted, for want of descriptors."""
        log.warning("no data connection could be accepted", error=str(sys.exception()))
        self.handle_timeout()
