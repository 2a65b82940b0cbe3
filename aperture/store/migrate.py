"""Brings the tables up to date (Alembic), once however many processes start together."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, inspect

from aperture.store.errors import StoreUnavailableError

HEAD = "0003"
"""The newest revision. Known here so that a start that has nothing to migrate need not load Alembic."""


def migrate(engine: Engine) -> None:
    """Upgrade the database to `HEAD`; does nothing when it is there already.

    Raises:
        StoreUnavailableError: the database was written by a newer version of this software.
    """
    if _current(engine) == HEAD:
        return
    with _one_at_a_time(engine):
        if _current(engine) != HEAD:
            _upgrade(engine)


def _current(engine: Engine) -> str | None:
    # A read: a start must not wait for whoever writes.
    with engine.connect().execution_options(aperture_write=False) as connection, connection.begin():
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415 - 10 MB that most starts don't need
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreUnavailableError(f"the database is of a newer version: upgrade Aperture ({error})") from error


@contextmanager
def _one_at_a_time(engine: Engine) -> Generator[None]:
    path = engine.url.database
    if not path or path == ":memory:":
        yield
        return
    with Path(f"{path}.migrate").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
