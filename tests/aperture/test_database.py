import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from aperture.store import database as module
from aperture.store import events, migrate, schema
from aperture.store.database import Database, sqlite_url
from aperture.store.errors import DiskFullError, StoreError, StoreUnavailableError
from aperture.store.events import Kind

WRITER = """
import sys
from aperture.store import events
from aperture.store.database import Database
from aperture.store.events import Kind

database = Database.open(sys.argv[1])
name, count = sys.argv[2], int(sys.argv[3])

def work(connection):
    row = connection.exec_driver_sql("SELECT number FROM revision WHERE name = 'shared'").scalar() or 0
    connection.exec_driver_sql(
        "INSERT INTO revision VALUES ('shared', 1) ON CONFLICT (name) DO UPDATE SET number = ?", (row + 1,)
    )
    events.append(connection, Kind.CAMERA_STATUS, at_ms=row, camera=name)
    return row + 1

print("ready", flush=True)
sys.stdin.readline()
for _ in range(count):
    print(database.write(work), flush=True)
"""


def _writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, sqlite_url(path), name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return tmp_path / "new" / "aperture.db"


def test_three_processes_write_one_file_and_a_reader_misses_nothing(fresh):
    """They start together on a file that is not there, read then write in each transaction, and none fails, waits in
    vain or overwrites another's count; who follows the events meanwhile sees each id once, in order.
    """
    each = 80
    writers = [_writer(fresh, name, each) for name in "abc"]
    try:
        for writer in writers:
            _go(writer)
        following = Database.open(sqlite_url(fresh))
        seen: list[int] = []
        while len(seen) < 3 * each:
            place = seen[-1] if seen else 0
            seen += [event.id for event in following.read(lambda one, place=place: events.after(one, place, limit=7))]
            assert not any(writer.poll() for writer in writers)
        told = [int(line) for writer in writers for line in writer.communicate(timeout=60)[0].split()]
    finally:
        for writer in writers:
            _end(writer)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(told) == list(range(1, 3 * each + 1))
    assert seen == list(range(1, 3 * each + 1))
    following.close()


@pytest.mark.parametrize("after", [1, 20, 90])
def test_a_kill_in_the_middle_of_writes_loses_nothing_that_was_acknowledged(fresh, after):
    """What `write` returned is there after kill -9, and the file is whole."""
    Database.open(sqlite_url(fresh)).close()
    writer = _writer(fresh, "a", 100_000)
    try:
        _go(writer)
        assert writer.stdout is not None
        for _ in range(after):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate(timeout=10)
    finally:
        _end(writer)
    acknowledged = [last, *(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))]
    database = Database.open(sqlite_url(fresh))
    kept = database.read(lambda one: [event.at_ms + 1 for event in events.after(one, 0, limit=1_000_000)])
    assert set(acknowledged) <= set(kept)
    assert len(kept) - acknowledged[-1] in {0, 1}
    assert database.read(lambda one: one.exec_driver_sql("PRAGMA integrity_check").scalar()) == "ok"
    database.close()


def test_a_commit_is_on_the_disk_when_it_returns(database):
    """WAL with synchronous=FULL, on each connection that is opened."""
    names = ("journal_mode", "synchronous", "busy_timeout")
    for work in (database.read, database.write):
        found = work(lambda one: [one.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names])
        assert found == ["wal", 2, 10_000]


def test_a_failed_transaction_changes_nothing(database):
    def fail(connection):
        events.append(connection, Kind.CAMERA_ADDED, at_ms=1)
        raise ZeroDivisionError

    before = database.read(events.last_id)
    with pytest.raises(ZeroDivisionError):
        database.write(fail)
    assert database.read(events.last_id) == before


def test_a_reader_sees_one_unchanging_view(database):
    """What is committed while it reads does not show up in between."""

    def work(connection):
        first = events.last_id(connection)
        thread = threading.Thread(
            target=database.write, args=(lambda one: events.append(one, Kind.CAMERA_ADDED, at_ms=1),)
        )
        thread.start()
        thread.join()
        return first, events.last_id(connection)

    first, second = database.read(work)
    assert first == second
    assert database.read(events.last_id) == first + 1


def test_a_lock_that_does_not_end_is_unavailable_and_nothing_is_changed(tmp_path, migrated, monkeypatch):
    monkeypatch.setattr(module, "_BUSY_MS", 100)
    path = tmp_path / "locked.db"
    path.write_bytes(migrated.read_bytes())
    database = Database.open(sqlite_url(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        database.write(lambda one: events.append(one, Kind.CAMERA_ADDED, at_ms=1))
    assert database.read(events.last_id) == 0
    other.close()
    database.write(lambda one: events.append(one, Kind.CAMERA_ADDED, at_ms=1))
    assert database.read(events.last_id) == 1
    database.close()


def test_a_full_disk_is_told_as_such_and_nothing_is_changed(database):
    """SQLite says the same of a full disk and of a file that may not grow: the latter can be had here."""

    def fill(connection):
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        try:
            for _ in range(1000):
                events.append(connection, Kind.CAMERA_ADDED, at_ms=1, body={"x": "y" * 4000})
        finally:
            connection.exec_driver_sql("PRAGMA max_page_count=1000000000")

    before = database.read(events.last_id)
    with pytest.raises(DiskFullError, match="make room"):
        database.write(fill)
    assert database.read(events.last_id) == before


def test_a_broken_rule_of_the_tables_is_an_error_of_ours(database):
    """A doubled key is a mistake in the program: it is not dressed up as a store that does not answer."""
    with pytest.raises(IntegrityError):
        database.write(lambda one: one.exec_driver_sql("INSERT INTO lease VALUES ('a','b',1),('a','b',1)"))


async def test_a_cancelled_caller_does_not_undo_its_write(database):
    begun = threading.Event()
    go_on = threading.Event()

    def work(connection):
        begun.set()
        go_on.wait(5)
        events.append(connection, Kind.CAMERA_ADDED, at_ms=7)

    writing = asyncio.create_task(database.awrite(work))
    await asyncio.to_thread(begun.wait, 5)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    await database.awrite(lambda _: None)
    assert (await database.aread(lambda one: events.after(one, 0)))[-1].at_ms == 7


async def test_reading_goes_on_while_a_write_takes_its_time(database):
    begun, go_on = threading.Event(), threading.Event()
    writing = asyncio.create_task(database.awrite(lambda _: (begun.set(), go_on.wait(5))))
    await asyncio.to_thread(begun.wait, 5)
    async with asyncio.timeout(2):
        await asyncio.gather(*(database.aread(events.last_id) for _ in range(10)))
    go_on.set()
    await writing


def test_other_databases_are_refused_in_words():
    with pytest.raises(StoreError, match="sqlite"):
        Database(url="mysql://user:secret@host/db")


@pytest.mark.parametrize("content", [b"this is no database" * 100, None])
def test_what_can_t_be_opened_says_why_and_leaves_nothing_open(tmp_path, content):
    """A file that is none, and a folder in its place."""
    path = tmp_path / "aperture.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreUnavailableError, match=r"aperture\.db"):
        Database.open(sqlite_url(path))
    if content is not None:
        assert path.read_bytes() == content
    _nothing_is_open(path)


def test_a_folder_that_can_t_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match="file"):
        Database.open(sqlite_url(tmp_path / "file" / "aperture.db"))


def test_a_database_of_a_newer_version_is_left_alone(tmp_path, migrated):
    """An older program does not run on tables that it does not know."""
    path = tmp_path / "aperture.db"
    path.write_bytes(migrated.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreUnavailableError, match="newer version: upgrade"):
        Database.open(sqlite_url(path))
    _nothing_is_open(path)


def _nothing_is_open(path: Path) -> None:
    assert [file.path for file in psutil.Process().open_files() if file.path.startswith(str(path))] == []


def test_head_is_alembic_s_head():
    """`HEAD` is written down so that most starts need not load Alembic: it must be right."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_the_migrations_make_the_tables_that_the_program_uses(database):
    """Alembic's comparison finds nothing to add, drop or change."""
    difference = database.read(lambda one: compare_metadata(MigrationContext.configure(one), schema.metadata))
    assert difference == []


def test_an_open_database_needs_no_alembic(fresh):
    """A start that has nothing to migrate does not load it: it takes memory for good."""
    Database.open(sqlite_url(fresh)).close()
    script = (
        "import sys; from aperture.store.database import Database; Database.open(sys.argv[1]).close();"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, sqlite_url(fresh)], check=True, timeout=60)


def test_a_password_in_the_url_is_not_shown(tmp_path):
    database = Database(url=f"sqlite:///{tmp_path}/a.db")
    assert database.name == f"sqlite:///{tmp_path}/a.db"
    assert database.read(lambda one: one.execute(text("SELECT 1")).scalar()) == 1
    database.close()


def test_opening_does_not_wait_for_a_writer(tmp_path, monkeypatch):
    """What is up to date is opened while another process writes, however long that takes."""
    monkeypatch.setattr(module, "_BUSY_MS", 100)
    url = sqlite_url(tmp_path / "a.db")
    Database.open(url).close()
    writer = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    Database.open(url).close()
    writer.execute("COMMIT")
    writer.close()
