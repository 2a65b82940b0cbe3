"""The database: one writer at a time, many readers, in plain threads and from asyncio alike.

SQLite runs in WAL with synchronous=FULL, so a commit has reached the disk when it returns. A write is always
`BEGIN IMMEDIATE` with a busy timeout: a deferred transaction that reads and then writes fails with "database is
locked" at once, whatever the timeout, when another process wrote in between.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aperture.store.errors import DiskFullError, StoreError, StoreUnavailableError
from aperture.store.migrate import migrate

T = TypeVar("T")

_BUSY_MS = 10_000
_READERS = 3


class Database:
    """Rows, behind four verbs: `write` and `read` for threads, `awrite` and `aread` for asyncio.

    Each takes a function of one open connection and runs it in a transaction of its own, which commits when the
    function returns and rolls back when it raises.
    """

    def __init__(self, *, url: str) -> None:
        """Prepare the engine; nothing is opened before `open`."""
        self.url = make_url(url)
        if self.url.get_backend_name() != "sqlite":
            raise StoreError(f"no store for {self.url.get_backend_name()!r} databases: use sqlite:///PATH")
        _make_file(self.url)
        self._engine = create_engine(
            self.url,
            pool_size=_READERS + 3,
            pool_reset_on_return=None,  # every transaction is ended where it was begun
            connect_args={"check_same_thread": False},
        )
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)
        self._writing = threading.Lock()
        self._for_writing: Connection | None = None  # kept open: opening costs a third of a small write
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a database and bring its tables up to date.

        Raises:
            StoreUnavailableError: it can't be opened; the message says why.
        """
        database = cls(url=url)
        try:
            migrate(database._engine)
        except StoreError:
            database.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            database.close()
            raise StoreUnavailableError(f"can't open the database {database.name}: {_reason(error)}") from error
        return database

    @property
    def name(self) -> str:
        """The URL, with its password hidden."""
        return self.url.render_as_string(hide_password=True)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a write transaction; what it did is on disk when this returns.

        Raises:
            StoreUnavailableError: locked for more than 10 s, or broken; nothing was changed.
            DiskFullError: no room; nothing was changed.
        """
        with self._writing:
            connection, self._for_writing = self._for_writing or self._connect(write=True), None
            try:
                with connection.begin():
                    result = work(connection)
            except DBAPIError as error:
                connection.close()
                raise _translate(error) from error
            except BaseException:
                connection.close()
                raise
            self._for_writing = connection
            return result

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one unchanging view of the rows.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        try:
            with self._connect(write=False) as connection, connection.begin():
                return work(connection)
        except DBAPIError as error:
            raise _translate(error) from error

    async def awrite(self, work: Callable[[Connection], T]) -> T:
        """`write` from asyncio. A cancelled caller does not undo it: the work runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self.write, work)

    async def aread(self, work: Callable[[Connection], T]) -> T:
        """`read` from asyncio."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read, work)

    def close(self) -> None:
        """Finish what is under way and close every connection."""
        self._writer.shutdown()
        self._readers.shutdown()
        if self._for_writing is not None:
            self._for_writing.close()
        self._engine.dispose()

    def _connect(self, *, write: bool) -> Connection:
        try:
            return self._engine.connect().execution_options(aperture_write=write)
        except DBAPIError as error:
            raise _translate(error) from error


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


def _make_file(url: URL) -> None:
    """Make folder and file, readable by their owner alone: hashes of secrets are in it. SQLite keeps the mode."""
    if not url.database or url.database == ":memory:":
        return
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailableError(f"can't make the database {path}: {error.strerror}") from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite` alone
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA cache_size=-2000")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("aperture_write", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _translate(error: DBAPIError) -> Exception:
    text = _reason(error)
    if "disk is full" in text:
        return DiskFullError(f"the disk with the database is full: make room ({text})")
    if isinstance(error.orig, sqlite3.IntegrityError):
        return error
    return StoreUnavailableError(f"the database does not answer: {text}")


def _reason(error: Exception) -> str:
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)
