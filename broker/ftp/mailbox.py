"""Calls from other threads into the event loop."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_MANY = 4096


class Mailbox:
    """Runs what other threads post in the loop's own thread, in the order of posting."""

    def __init__(self, *, ioloop: Any) -> None:
        """Join the loop. `close` leaves it."""
        self._ioloop = ioloop
        self._calls: deque[Callable[[], None]] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._fileno = self._reader.fileno()
        ioloop.register(self._fileno, self, ioloop.READ)

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` run in the loop soon. From any thread; after `close` nothing happens."""
        self._calls.append(call)
        with suppress(OSError):  # a full buffer wakes the loop as well as one more byte would
            self._writer.send(b"\0")

    def readable(self) -> bool:
        """Whether the loop should listen: always."""
        return True

    def handle_read_event(self) -> None:
        """Run what was posted (the loop calls this)."""
        with suppress(BlockingIOError):
            self._reader.recv(_MANY)
        while self._calls:
            call = self._calls.popleft()
            try:
                call()
            except Exception:
                log.exception("a call into the ftp loop failed")

    def handle_error(self) -> None:
        """Nothing to repair: `handle_read_event` raises nothing."""

    handle_close = handle_error

    def close(self) -> None:
        """Leave the loop; calls that are waiting are dropped."""
        if self._fileno in self._ioloop.socket_map:
            self._ioloop.unregister(self._fileno)
        self._reader.close()
        self._writer.close()
