"""The thread that makes uploads durable, in batches: what is waiting shares one transaction and its fsyncs.

Order is everything here: verify, fsync the file, rename it, fsync its folder, commit the rows, and only then answer
226. Whatever fails before the last step is a 4xx or 5xx, and the camera still has the photo.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import structlog

from broker.ftp.batch import Batch, Kit, refusal
from broker.ftp.crowd import Crowd
from broker.ftp.errors import RefusedError
from broker.ftp.threads import join
from broker.ftp.uploads import Reply, Upload

log = structlog.get_logger(__name__)

_MOST = 128  # uploads in one transaction: enough to share its cost, few enough that the first need not wait long
_HOUR_S = 3600.0

T = TypeVar("T")
Post = Callable[[Callable[[], None]], None]


class _Question(NamedTuple):
    answer: Callable[[], None]


class Committer:
    """Takes finished uploads, and questions that need the disk or the database; answers in the event loop."""

    def __init__(
        self,
        *,
        kit: Kit,
        post: Post,
        on_stored: Callable[[], None] | None,
        partial_days: int,
    ) -> None:
        """Take `post`, which runs a call in the event loop, and `on_stored`, called here after each batch."""
        self._crowd = Crowd()
        self._kit = kit
        self._post = post
        self._on_stored = on_stored
        self._partial_days = partial_days
        self._prune_at = time.monotonic() + _HOUR_S
        self._jobs: queue.SimpleQueue[Upload | _Question | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ftp-commit", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Finish everything that was handed over, then end the thread."""
        self._jobs.put(None)
        join(self._thread)

    def submit(self, upload: Upload, *, session: int) -> None:
        """Have an upload of a session verified and stored; its `done` is called in the event loop."""
        self._crowd.note(session)
        self._jobs.put(upload)

    def ask(self, work: Callable[[], T], then: Callable[[T | RefusedError], None]) -> None:
        """Run `work` here, after all uploads handed over so far, and `then` in the event loop with what it gave."""

        def answer() -> None:
            result = self._attempt(work)
            self._post(lambda: then(result))

        self._jobs.put(_Question(answer))

    def _attempt(self, work: Callable[[], T]) -> T | RefusedError:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for the answer
            return refusal(error)

    def _run(self) -> None:
        running = True
        while running:
            jobs = self._next()
            running = None not in jobs
            uploads = [job for job in jobs if isinstance(job, Upload)]
            if uploads:
                self._commit(uploads)
            for job in jobs:
                if isinstance(job, _Question):
                    job.answer()

    def _next(self) -> list[Upload | _Question | None]:
        while True:
            try:
                jobs = [self._jobs.get(timeout=max(0.0, self._prune_at - time.monotonic()))]
            except queue.Empty:
                self._prune()
                continue
            time.sleep(self._crowd.pause_s())
            while len(jobs) < _MOST and not self._jobs.empty():
                jobs.append(self._jobs.get())
            return jobs

    def _prune(self) -> None:
        self._prune_at = time.monotonic() + _HOUR_S
        self._attempt(lambda: self._kit.partials.prune(days=self._partial_days))

    def _commit(self, uploads: Sequence[Upload]) -> None:
        batch = Batch(kit=self._kit, uploads=uploads)
        replies = self._attempt(batch.run)
        if isinstance(replies, RefusedError):
            replies = [Reply(replies.reply)] * len(uploads)
        self._post(lambda: _deliver(uploads, replies))
        if batch.stored:
            self._tell(batch.stored)

    def _tell(self, stored: list[str]) -> None:
        try:
            if self._on_stored is not None:
                self._on_stored()
        except Exception:
            log.exception("the hint of stored photos failed; they will be found all the same")
        log.info("photos stored", photos=stored)


def _deliver(uploads: Sequence[Upload], replies: Sequence[Reply]) -> None:
    for upload, reply in zip(uploads, replies, strict=True):
        upload.done(reply)
