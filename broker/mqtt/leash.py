"""Becomes another program, one that ends when its parent does, even by kill -9. Run as a script, never imported.

    python -I -S leash.py PARENT_PID UID:GID|- PROGRAM [ARGUMENT ...]

It is a program of its own, and not code between fork and exec, for our process has threads: a child forked from it may
find any lock held. After `exec` nothing of it is left in memory.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # prctl(2)
_OPEN_FILES = 8192  # some shells allow 1024, which is fewer than the connections that the brokers may hold


def main(arguments: Sequence[str]) -> None:
    """Drop privileges, tie our life to the parent's, and become the program."""
    parent, owner, program, *rest = arguments
    _raise_open_files()
    if owner != "-":
        uid, _, gid = owner.partition(":")
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After setuid, which clears it. SIGTERM, so that the broker saves what it has.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the parent ended before the broker began")
    os.execv(program, [program, *rest])  # noqa: S606 - no shell is what is wanted


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main(sys.argv[1:])
