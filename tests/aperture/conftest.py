"""A real SQLite file for each test."""

import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from aperture.contract.ids import new_photo_id
from aperture.contract.messages import Manifest
from aperture.store import accounts
from aperture.store.accounts import Role
from aperture.store.database import Database, sqlite_url
from aperture.store.photos import Received


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "aperture.db"
    Database.open(sqlite_url(path)).close()
    return path


@pytest.fixture
def database(tmp_path: Path, migrated: Path) -> Generator[Database]:
    shutil.copy(migrated, tmp_path / "aperture.db")
    opened = Database.open(sqlite_url(tmp_path / "aperture.db"))
    opened.write(lambda one: accounts.add(one, name="cam", role=Role.CAMERA, now_ms=1))
    yield opened
    opened.close()


def _manifest(**more: Any) -> Manifest:
    facts: dict[str, Any] = {"photo": new_photo_id(), "seq": 1, "trigger": "button", "bytes": 100, "sha256": "a" * 64}
    return Manifest(**facts | more)


def _received(**more: Any) -> Received:
    facts: dict[str, Any] = {
        "camera": "cam", "photo": new_photo_id(), "bytes": 100, "sha256": "a" * 64, "width": 64, "height": 48,
        "upload_started_ms": 1000, "received_ms": 1100, "stored_ms": 1110,
    }  # fmt: skip
    return Received(**facts | more)


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    return _manifest


@pytest.fixture
def received() -> Callable[..., Received]:
    return _received
