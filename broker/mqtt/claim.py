"""One broker per data folder: two on one store would corrupt it.

The lock is a flock(2) on `<data>/broker.lock`, whose descriptor the child inherits. So it is free exactly when neither
the supervisor nor a broker that outlived it is left, however they ended, and no pid needs to be believed for that.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Final, Self

import structlog

from broker.mqtt.errors import FolderBusyError

log = structlog.get_logger(__name__)

_WAIT_S: Final = 8.0  # for a broker whose supervisor is gone
_BUSY_S: Final = 1.5  # for a supervisor that is just leaving
_GRACE_S: Final = 3.0  # what an orphan gets to end by itself: it has had its SIGTERM when its parent died
_POLL_S: Final = 0.02


class Claim:
    """An async context manager that holds the lock."""

    def __init__(self, *, data_dir: Path) -> None:
        """Prepare; nothing is opened yet."""
        self._data_dir = data_dir
        self._handle = -1

    @property
    def handle(self) -> int:
        """The descriptor that the child must inherit."""
        return self._handle

    async def __aenter__(self) -> Self:
        """Wait for the lock.

        Raises:
            FolderBusyError: another supervisor has it.
            OSError: the folder can't be written to.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        path = self._data_dir / "broker.lock"
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            await self._lock()
        except BaseException:
            os.close(self._handle)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go."""
        os.close(self._handle)

    def note_child(self, pid: int) -> None:
        """Write down who inherits the lock, for the one who finds it held."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()} {pid}\n".encode(), 0)

    async def _lock(self) -> None:
        began = time.monotonic()
        while not self._try():
            waited = time.monotonic() - began
            supervisor, child = self._holders()
            orphaned = not _alive(supervisor)
            if waited > (_WAIT_S if orphaned else _BUSY_S):
                raise FolderBusyError(
                    f"a broker of another Aperture Archive (process {supervisor or child or 'unknown'}) runs on the "
                    f"data folder {self._data_dir}: stop that one, or take another folder (APERTURE_DATA_DIR)"
                )
            if orphaned and child and waited > _GRACE_S:
                self._end_orphan(child)
            await asyncio.sleep(_POLL_S)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holders(self) -> tuple[int, int]:
        numbers = os.pread(self._handle, 64, 0).split()
        if len(numbers) != 2 or not all(number.isdigit() for number in numbers):  # noqa: PLR2004 - supervisor and child
            return 0, 0
        return int(numbers[0]), int(numbers[1])

    def _end_orphan(self, pid: int) -> None:
        # In another container the number may be somebody else's: only what works in our folder is ours.
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink().parent == self._data_dir.resolve():
                log.warning("mqtt broker of an earlier run ended", pid=pid)
                os.kill(pid, signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
