"""Threads that talk to the loop are always heard, and none of them can keep the server from stopping."""

import threading
import time
from collections import deque

import pytest
import structlog.testing

from broker.ftp.engine import IOLoop
from broker.ftp.mailbox import Mailbox


class Meeting(deque):
    """A mailbox's queue in which two threads always post at the same time: each sees the other's call in it."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2)

    def append(self, call) -> None:
        super().append(call)
        self._both.wait(10)


@pytest.fixture
def loop():
    loop = IOLoop()
    yield loop
    loop.close()


def test_two_calls_at_the_same_time_are_both_heard(loop):
    """Two threads post at once: the loop wakes, whoever of them saw the other's call. Else each 226 would hang."""
    mailbox = Mailbox(ioloop=loop)
    mailbox._calls = Meeting()
    heard = []
    posting = [threading.Thread(target=mailbox.post, args=(lambda n=n: heard.append(n),)) for n in range(2)]
    for thread in posting:
        thread.start()
    for thread in posting:
        thread.join(10)
    end = time.monotonic() + 2
    while len(heard) < 2 and time.monotonic() < end:
        loop.poll(0.1)
    mailbox.close()
    assert sorted(heard) == [0, 1]


def test_a_full_mailbox_is_still_heard(loop):
    """More posts than the socket's buffer has room for: all are run, in their order."""
    mailbox = Mailbox(ioloop=loop)
    heard = []
    for number in range(5000):
        mailbox.post(lambda number=number: heard.append(number))
    loop.poll(1)
    mailbox.close()
    assert heard == list(range(5000))


def test_a_thread_that_hangs_does_not_keep_the_server_from_stopping(make_house, jpeg, photo_id, monkeypatch, until):
    """A disk that never answers: stop() says who hangs, and returns."""
    monkeypatch.setattr("broker.ftp.threads.END_S", 0.1)
    house = make_house()
    camera = house.camera()
    adopt, entered, leave = house.blobs.adopt, threading.Event(), threading.Event()

    def hang(arrivals):
        entered.set()
        leave.wait(10)
        return adopt(arrivals)

    house.blobs.adopt = hang
    connection = camera.data()
    camera.send(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg)
    connection.close()
    assert entered.wait(10)
    with structlog.testing.capture_logs() as lines:
        house.server.stop()
    leave.set()
    until(lambda: not house.server._committer._thread.is_alive())
    assert [line["thread"] for line in lines if "does not end" in line["event"]] == ["ftp-commit"]
