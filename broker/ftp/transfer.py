"""Bytes on their way into a partial file."""

import errno
import hashlib
import os
from collections.abc import Callable

from aperture.clock import now_ms
from broker.ftp.errors import RefusedError
from broker.ftp.uploads import Declared, Reply, Target, Upload

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Transfer:
    """One upload while its data connection is open, or awaited. Belongs to the event loop's thread."""

    def __init__(
        self,
        *,
        target: Target,
        path: str,
        handle: int,
        offset: int,
        scratch: bool,
        declared: Declared,
        appended: bool,
        fresh: bool,
        max_bytes: int,
    ) -> None:
        """Take the open file `handle`, which stands where the first byte goes."""
        self.target = target
        self.path = path
        self.received = 0
        self._handle = handle
        self._offset = offset
        self._scratch = scratch
        self._declared = declared
        self._appended = appended
        self._fresh = fresh
        self._room = max_bytes - offset
        self._hash = None if offset and not scratch else hashlib.sha256()
        self._started_ms = now_ms()

    @property
    def length(self) -> int:
        """How much of the file is there."""
        return self._offset + self.received

    def write(self, chunk: memoryview) -> None:
        """Take more bytes, into the page cache.

        Raises:
            RefusedError: the disk (452) or the limit (552) has no room for them, or the disk fails (451).
        """
        if self.received + len(chunk) > self._room:
            raise RefusedError(552, "The file is larger than this server takes.")
        if self._hash is not None:
            self._hash.update(chunk)
        try:
            while chunk:
                written = os.write(self._handle, chunk)
                self.received += written
                chunk = chunk[written:]
        except OSError as error:
            raise disk_error(error) from error

    def finish(self, *, broken: bool, done: Callable[[Reply], None]) -> Upload:
        """Close the file and return what the commit thread needs."""
        self.close()
        return Upload(
            target=self.target,
            path=self.path,
            offset=self._offset,
            received=self.received,
            sha256=None if self._hash is None else self._hash.hexdigest(),
            declared=self._declared,
            appended=self._appended,
            scratch=self._scratch,
            fresh=self._fresh,
            broken=broken,
            started_ms=self._started_ms,
            received_ms=now_ms(),
            done=done,
        )

    def close(self) -> None:
        """Close the file; what came stays as the partial."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def disk_error(error: OSError) -> RefusedError:
    """Return the reply for one of the operating system's errors (RFC 959: 452 no room, 451 local error)."""
    if error.errno in _FULL:
        return RefusedError(452, "The server's disk is full; the photo was not taken, send it again later.")
    return RefusedError(451, f"The server's disk does not work ({error.strerror}); send it again later.")
