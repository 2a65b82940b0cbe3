"""The end of a thread, which nobody waits for without a deadline: whoever stops us would kill us instead."""

import threading

import structlog

log = structlog.get_logger(__name__)

END_S = 30.0
"""Longer than a locked database is waited for."""


def join(thread: threading.Thread) -> None:
    """Wait for a thread to end; after `END_S` say so and go on without it. Threads that were not started are ended."""
    if not thread.is_alive():
        return
    thread.join(END_S)
    if thread.is_alive():
        log.error("a thread of the ftp server does not end: stopping without it", thread=thread.name, waited_s=END_S)
