"""The parts' own accounts: one secret per part and data folder, however many ask for it at one time."""

import asyncio
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aperture.contract.ids import NameRejectedError
from aperture.store import accounts, service_secret
from aperture.store.accounts import Role
from aperture.store.credentials import verify_mosquitto
from aperture.store.database import Database
from aperture.store.errors import ConflictError, StoreUnavailableError

ASK = """
import sys
from pathlib import Path
from aperture.store import service_secret
from aperture.store.database import Database, sqlite_url
folder = Path(sys.argv[1])
database = Database.open(sqlite_url(folder / "aperture.db"))
print(service_secret.ensure(database, folder, "bridge", 1))
database.close()
"""


def _works(database: Database, name: str, secret: str) -> bool:
    account = database.read(lambda c: accounts.get(c, name))
    return account is not None and account.role is Role.SERVER and verify_mosquitto(secret, account.mqtt_hash)


def test_it_is_made_once_and_kept(database: Database, data_dir: Path) -> None:
    secret = service_secret.ensure(database, data_dir, "bridge", 1)
    revision = database.read(accounts.revision)
    assert service_secret.ensure(database, data_dir, "bridge", 2) == secret
    assert database.read(accounts.revision) == revision
    assert service_secret.ensure(database, data_dir, "api", 1) != secret
    assert _works(database, "bridge", secret)


def test_only_the_owner_can_read_it(database: Database, data_dir: Path) -> None:
    service_secret.ensure(database, data_dir, "bridge", 1)
    assert stat.S_IMODE((data_dir / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((data_dir / "secrets" / "bridge").stat().st_mode) == 0o600


def test_threads_get_the_same(database: Database, data_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda _: service_secret.ensure(database, data_dir, "bridge", 1), range(16)))
    assert len(got) == 1
    assert _works(database, "bridge", got.pop())


async def test_processes_get_the_same(database: Database, data_dir: Path) -> None:
    async def ask() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, str(data_dir), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        return out.decode().strip()

    got = set(await asyncio.gather(*(ask() for _ in range(3))))
    assert len(got) == 1
    assert _works(database, "bridge", got.pop())


@pytest.mark.parametrize("damage", ["lost file", "empty file", "lost row", "revoked", "other secret"])
def test_file_and_account_find_together_again(database: Database, data_dir: Path, damage: str) -> None:
    """Restoring a backup of one without the other locks nobody out."""
    service_secret.ensure(database, data_dir, "bridge", 1)
    match damage:
        case "lost file":
            (data_dir / "secrets" / "bridge").unlink()
        case "empty file":
            (data_dir / "secrets" / "bridge").write_text("")
        case "lost row":
            database.write(lambda c: c.exec_driver_sql("DELETE FROM account"))
        case "revoked":
            database.write(lambda c: accounts.revoke(c, name="bridge", now_ms=2))
        case _:
            database.write(lambda c: accounts.set_server_secret(c, name="bridge", secret="x", now_ms=2))
    assert _works(database, "bridge", service_secret.ensure(database, data_dir, "bridge", 3))


def test_a_persons_account_is_not_taken(database: Database, data_dir: Path) -> None:
    database.write(lambda c: accounts.add(c, name="phone", role=Role.READER, now_ms=1))
    with pytest.raises(ConflictError, match="phone"):
        service_secret.ensure(database, data_dir, "phone", 2)


@pytest.mark.parametrize("name", ["", "../x", ".lock", "A"])
def test_a_name_is_no_path(database: Database, data_dir: Path, name: str) -> None:
    with pytest.raises(NameRejectedError):
        service_secret.ensure(database, data_dir, name, 1)


def test_a_folder_that_can_not_be_used_is_said_so(database: Database, data_dir: Path) -> None:
    (data_dir / "secrets").write_text("a file where a folder is wanted")
    with pytest.raises(StoreUnavailableError, match="secrets"):
        service_secret.ensure(database, data_dir, "bridge", 1)
