"""A control connection's order and its login: pyftpdlib's protocol interpreter, with replies that never overtake.

From the first byte of an upload until its reply, whatever else the client sends waits its turn, so that nothing comes
before the 226; only ABOR is heard while bytes are still coming. What can be done with files is in `session`.
"""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportPrivateUsage=false
# pyright: reportUninitializedInstanceVariable=false, reportUnknownParameterType=false

from __future__ import annotations

import socket
import sys
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import structlog

from broker.ftp.commands import COMMANDS
from broker.ftp.data import DataChannel, PassiveListener
from broker.ftp.engine import FTPHandler
from broker.ftp.paths import Root
from broker.ftp.uploads import Declared

if TYPE_CHECKING:
    from aperture.store.accounts import Account
    from broker.ftp.server import Listener

log = structlog.get_logger(__name__)

_MOST_WAITING = 32
_WRONG_PASSWORD_PAUSE_S = 1.0
_LOGIN_S = 30.0
_TELNET = bytes(range(0xF0, 0x100))
"""Telnet's commands (RFC 854): a client may send IP and Synch before ABOR (RFC 959, 4.1.3)."""


class Phase(Enum):
    """What a session is busy with."""

    IDLE = auto()
    RECEIVING = auto()  # an upload's bytes: ABOR is heard, anything else waits
    HELD = auto()  # another thread works for it, or it is being punished: everything waits


class Control(FTPHandler):
    """A session as far as it needs no file."""

    proto_cmds = COMMANDS
    dtp_handler = DataChannel
    passive_dtp = PassiveListener
    banner = "Aperture Archive."
    producer_fifo: deque[bytes | None]

    def __init__(self, conn: socket.socket, server: Listener, ioloop: Any = None) -> None:
        """Take an accepted connection."""
        self.shared = server.shared
        settings = self.shared.settings
        self.timeout = settings.idle_s
        self.masquerade_address = settings.masquerade
        self.passive_ports = settings.passive_range
        self.account: Account | None = None
        self.root = Root("")
        self.cwd = "/"
        self.declared = Declared()
        self.phase = Phase.IDLE
        self._waiting: deque[bytes] = deque()
        self._corked = False
        self._login_deadline: Any = None
        super().__init__(conn, server, ioloop=ioloop)
        self._current_type = "i"
        self._log_debug = False
        if not self._closed:
            self._expect_login()

    # Order

    def found_terminator(self) -> None:
        """Take a command line, now or when what is under way has its reply."""
        line = b"".join(self._in_buffer).lstrip(_TELNET)
        heard = self.phase is Phase.RECEIVING and line.rstrip().upper() == b"ABOR"
        if self.phase is Phase.IDLE or heard:
            self._in_buffer = [line]
            super().found_terminator()
            return
        self._in_buffer, self._in_buffer_len = [], 0
        self._waiting.append(line)
        if len(self._waiting) > _MOST_WAITING:
            self.close()

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """Refuse a command that is none: pyftpdlib would take any that ends in ABOR, STAT or QUIT for that one."""
        if cmd in COMMANDS:
            super().pre_process_command(line, cmd, arg.strip() if cmd == "ABOR" else arg)
        else:
            self.respond(f'500 Command "{cmd}" not understood.')

    def release(self, *replies: str, then: Callable[[], None] | None = None) -> None:
        """Give the replies that were owed, and go on with what waits."""
        self.phase = Phase.IDLE
        if self._closed:
            return
        for reply in replies:
            self.respond(reply)
        if then is not None:
            then()
        while self._waiting and self.phase is Phase.IDLE and not self._closed:
            self._in_buffer = [self._waiting.popleft()]
            self.found_terminator()

    def respond(self, resp: str, logfun: Any = None) -> None:
        """Send a reply."""
        del logfun
        self._last_response = resp
        self.push(resp + "\r\n")

    def push(self, data: str) -> None:
        """Send text; while commands are being read, once for all of them."""
        if self._corked:
            self.producer_fifo.append(data.encode())
        else:
            super().push(data)  # pyright: ignore[reportArgumentType] - text here, bytes in its own base class

    def handle_read(self) -> None:
        """Read commands. A camera sends several in one write: it gets their replies in one as well."""
        self._corked = True
        try:
            super().handle_read()
        finally:
            self._corked = False
        if not self._closed and self.producer_fifo:
            self._join_replies()
            self.initiate_send()

    def _join_replies(self) -> None:
        replies = [reply for reply in self.producer_fifo if reply is not None]
        if 1 < len(replies) == len(self.producer_fifo):
            self.producer_fifo.clear()
            self.producer_fifo.append(b"".join(replies))

    @property
    def has_waiting(self) -> bool:
        """Whether commands wait for their turn."""
        return bool(self._waiting)

    def say_goodbye(self, reply: str) -> None:
        """Send a last reply and close the session."""
        if not self._closed:
            self.respond(reply)
            self.close_when_done()

    def handle_timeout(self) -> None:
        """End a silent session, but not one that waits for us."""
        if self.phase is Phase.IDLE:
            super().handle_timeout()
        else:
            self._idler = self.ioloop.call_later(self.timeout, self.handle_timeout, _errback=self.handle_error)

    def close(self) -> None:
        """End the session."""
        self._login_over()
        super().close()

    # Login

    def _expect_login(self) -> None:
        """Give the client some time to log in, whatever else it says meanwhile."""
        self.shared.strangers[self] = None
        self._login_deadline = self.ioloop.call_later(
            _LOGIN_S, self.turn_out, f"421 Log in within {_LOGIN_S:.0f} s.", _errback=self.handle_error
        )

    def _login_over(self) -> None:
        deadline, self._login_deadline = self._login_deadline, None
        if deadline is not None and not deadline.cancelled:
            deadline.cancel()
        self.shared.strangers.pop(self, None)

    def turn_out(self, reply: str) -> None:
        """Close the session of somebody who has not logged in."""
        self.say_goodbye(reply)
        self.close()

    def ftp_PASS(self, line: str) -> None:  # noqa: N802 - pyftpdlib finds commands by name
        """Log in, if need be after a look at the latest accounts."""
        if self.authenticated or not self.username:
            self.respond("503 Logged in already." if self.authenticated else "503 Send USER first.")
            return
        account = self.shared.accounts.check(self.username, line)
        if account is not None:
            self._log_in(account)
            return
        self.phase = Phase.HELD
        self.shared.accounts.refresh(lambda: self._check_again(line))

    def _check_again(self, secret: str) -> None:
        if self._closed:
            return
        account = self.shared.accounts.check(self.username, secret)
        if account is not None:
            self.release(then=lambda: self._log_in(account))
        else:
            self.call_later(_WRONG_PASSWORD_PAUSE_S, self._refuse_login)

    def _log_in(self, account: Account) -> None:
        self._login_over()
        self.account = account
        self.root = self.shared.root(account)
        self.cwd = "/"
        self.authenticated = True
        self.attempted_logins = 0
        self.respond("230 Welcome.")

    def _refuse_login(self) -> None:
        ration = self.shared.refusals
        if ration.allows():
            name, unsaid = self.username[:32], ration.take_unsaid()
            log.warning("ftp login refused", camera=name, address=self.remote_ip, unsaid=unsaid)
        self.attempted_logins += 1
        self.username = ""
        if self.attempted_logins >= self.shared.settings.max_logins:
            self.say_goodbye("530 Wrong name or password, once too often. Goodbye.")
        else:
            self.release("530 Wrong name or password.")

    def flush_account(self) -> None:
        """See FTPHandler (USER and REIN): forget who this is."""
        super().flush_account()
        self._login_over()
        self._expect_login()
        self.account = None
        self.root = Root("")
        self.cwd = "/"
        self.declared = Declared()
        self._current_type = "i"

    # What this server does its own way, or not at all

    def ftp_QUIT(self, line: str) -> None:  # noqa: N802
        """Say good-bye, after what is being sent."""
        del line
        self.respond("221 Goodbye.")
        if self.data_channel is not None and self.data_channel.transfer_in_progress():
            self._quit_pending = True
            self.del_channel()
        else:
            self.close_when_done()

    def ftp_TYPE(self, line: str) -> None:  # noqa: N802
        """Accept ASCII, and send and store every byte as it is all the same: a photo is no text."""
        if line.upper().replace(" ", "") in {"A", "AN", "I", "L8"}:
            self.respond("200 Bytes are taken as they are.")
        else:
            self.respond("504 Only TYPE I, and A as if it were I.")

    def ftp_PORT(self, line: str) -> None:  # noqa: N802
        """Refuse active mode: the server connects to nobody (RFC 2577, the bounce attack)."""
        del line
        self.respond("502 There is no active mode here; use EPSV or PASV.")

    ftp_EPRT = ftp_PORT  # noqa: N815

    def ftp_STAT(self, path: str) -> None:  # noqa: N802
        """Tell that it is alive, and nothing more."""
        self.respond("502 STAT lists no files here." if path else "211 Aperture Archive is at your service.")

    @property
    def features(self) -> tuple[str, ...]:
        """What goes beyond RFC 959."""
        return ("EPSV", "PASV", "REST STREAM", "SITE SHA256", "SIZE", "UTF8")

    def ftp_FEAT(self, line: str) -> None:  # noqa: N802
        """List what goes beyond RFC 959 (RFC 2389)."""
        del line
        self.push("211-Extensions:\r\n" + "".join(f" {feature}\r\n" for feature in self.features))
        self.respond("211 End")

    def ftp_PWD(self, line: str) -> None:  # noqa: N802
        """Tell the current folder."""
        del line
        quoted = self.cwd.replace('"', '""')
        self.respond(f'257 "{quoted}" is the current folder.')

    def _make_epasv(self, extmode: bool = False) -> None:  # noqa: FBT001, FBT002 - pyftpdlib's signature
        try:
            super()._make_epasv(extmode)
        except OSError as error:  # no free port, or too many open files
            log.warning("no port for a data connection", error=str(error))
            self.respond("425 There is no port for a data connection; try again later.")

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Drop pyftpdlib's own log lines: ours are structured."""

    logline = log_cmd = log_transfer = log

    def log_exception(self, instance: Any) -> None:
        """Log what should not have been raised."""
        del instance
        log.error("unexpected error in an ftp session", exc_info=sys.exception())
