"""Data connections: accepted from the session's own peer alone, and not read before there is a STOR or APPE.

A camera in a hurry sends its bytes, and even its FIN, ahead of the reply to STOR; pyftpdlib would throw them away. Here
the connection joins the event loop only once it has something to do: until then the kernel's buffer holds the bytes.
The same holds for a TLS handshake (PROT P): it is answered once there is a command that needs the connection.
"""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingParameterType=false
# pyright: reportUnknownArgumentType=false, reportIncompatibleMethodOverride=false, reportPrivateUsage=false
# pyright: reportOptionalMemberAccess=false, reportUninitializedInstanceVariable=false

from __future__ import annotations

import socket
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from aperture.tls.sockets import TlsSocket, secure
from broker.ftp.engine import DTPHandler, PassiveDTP
from broker.ftp.errors import RefusedError

if TYPE_CHECKING:
    from broker.ftp.session import Session
    from broker.ftp.transfer import Transfer

log = structlog.get_logger(__name__)

STALL_S = 60
_HANDSHAKE_S = 20.0  # an ESP32 computes long over it
_ROUNDS = 4  # reads before other connections have their turn
_DRAIN_ROUNDS = 64
_RECORDS = 16  # under TLS a read is one record, of 4 KiB from a camera


class DataChannel(DTPHandler):
    """One data connection."""

    timeout = STALL_S
    producer_fifo: deque[bytes | None]

    def __init__(self, sock: socket.socket, cmd_channel: Session) -> None:
        """Take an accepted connection of a session."""
        self.transfer: Transfer | None = None
        self._shaking = False
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
        self._secure()
        self._read(_ROUNDS)
        if not self._closed:
            self._initialized = True
            self.modify_ioloop_events(self.ioloop.READ)

    def push(self, data: bytes) -> None:
        """Send data, if need be once hands have been shaken."""
        self._secure()
        if self._shaking:
            self._initialized = True
            self.modify_ioloop_events(self.ioloop.READ)
            self.producer_fifo.append(data)
            self._shake()
        elif not self._closed:
            super().push(data)

    def drain(self) -> None:
        """Take what the kernel holds, and perhaps the end, before the connection is given up."""
        if self.transfer is not None:
            self._read(_DRAIN_ROUNDS)

    def readable(self) -> bool:
        """See asyncore."""
        return self._shaking or bool(super().readable())

    def handle_read_event(self) -> None:
        """See asyncore."""
        self._read(_ROUNDS)

    def _read(self, rounds: int) -> None:
        if self._shaking:
            self._shake()
        if not self._shaking and not self._closed:
            self._pump(rounds * _RECORDS if isinstance(self.socket, TlsSocket) else rounds)

    # TLS

    def _secure(self) -> None:
        """Begin a handshake, if data is to go under TLS and there was none."""
        session = self.cmd_channel
        tls = session.shared.tls if session.protects_data else None
        if tls is None or self.socket is None or isinstance(self.socket, TlsSocket):
            return
        try:
            self.socket = secure(self.socket, tls.current())
        except OSError as error:  # the peer is gone
            self._not_secured(error)
        else:
            self._shaking = True
            self.call_later(_HANDSHAKE_S, self._shaken_too_long)

    def _shake(self) -> None:
        try:
            if isinstance(self.socket, TlsSocket):
                self.socket.do_handshake()
        except BlockingIOError:
            return
        except OSError as error:
            self._not_secured(error)
            return
        self._shaking = False
        if self.transfer is None:  # there is something to send
            self.modify_ioloop_events(self.ioloop.WRITE)
            self._wanted_io_events = self.ioloop.WRITE

    def _shaken_too_long(self) -> None:
        if self._shaking:
            self._not_secured(TimeoutError(f"it took more than {_HANDSHAKE_S:.0f} s"))

    def _not_secured(self, error: OSError) -> None:
        """Give up before any byte came. 425 rather than 522 or 535: the next attempt may well succeed."""
        self._shaking = False
        session = self.cmd_channel
        if isinstance(self.socket, TlsSocket):
            session.tell_failure(self.socket)
        reply = f"425 No TLS on the data connection: {error.strerror or error}."
        if self.transfer is None:
            self._resp = (reply, None)
            self.close()
        else:
            self.fail(RefusedError(425, reply[4:]))

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
