"""Started by root, mosquitto is given no folder that root writes in: it could have us write anywhere else."""

import os
from pathlib import Path

import pytest

from aperture.contract.topics import Topics
from aperture.store.private_file import Owner
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.mqtt.engine import Address, Listeners
from broker.mqtt.mosquitto import Mosquitto

NOBODY = Owner(65534, 65534)
HERE = Listeners(Address("127.0.0.1", 1883))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")


@pytest.fixture
def engine(tmp_path: Path) -> Mosquitto:
    return Mosquitto(
        program=Path("mosquitto"),
        folder=tmp_path / "mosquitto",
        topics=Topics(),
        owner=NOBODY,
        tls_files=TlsFiles(tmp_path / "tls"),
    )


def _access(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode & 0o777


@pytest.mark.parametrize("before", [None, NOBODY], ids=["new", "of an earlier version"])
def test_its_user_can_write_to_its_store_alone(engine: Mosquitto, before: Owner | None) -> None:
    """The folders with the configuration are root's, and readable to it; also where they were its own before."""
    if before is not None:
        (engine.folder / "conf.d").mkdir(parents=True)
        for folder in (engine.folder, engine.folder / "conf.d"):
            os.chown(folder, before.uid, before.gid)
    engine.prepare(HERE)
    engine.admit([])
    assert _access(engine.folder) == (0, NOBODY.gid, 0o750)
    assert _access(engine.folder / "conf.d") == (0, NOBODY.gid, 0o750)
    assert _access(engine.folder / "store") == (NOBODY.uid, NOBODY.gid, 0o700)


@pytest.mark.parametrize("name", [".", "conf.d", "store"])
def test_a_link_in_a_folder_s_place_is_refused(engine: Mosquitto, tmp_path: Path, name: str) -> None:
    """Root neither writes through it nor gives away what it leads to."""
    victim = tmp_path / "victim"
    victim.mkdir()
    victim.chmod(0o755)
    place = engine.folder / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(victim)
    with pytest.raises(OSError, match=place.name):
        engine.prepare(HERE)
    assert _access(victim) == (0, 0, 0o755)
    assert list(victim.iterdir()) == []


def test_its_database_may_be_no_link(engine: Mosquitto, tmp_path: Path) -> None:
    """In its own folder it may put what it likes: we give it nothing that it points us to."""
    engine.prepare(HERE)
    victim = tmp_path / "shadow"
    victim.write_text("secret")
    (engine.folder / "store" / "mosquitto.db").hardlink_to(victim)
    with pytest.raises(OSError, match="not given away"):
        engine.prepare(HERE)
    assert victim.stat().st_uid == 0


def test_it_can_read_the_certificate_s_key_and_nobody_else(engine: Mosquitto) -> None:
    """It gets a copy of its own: the folder of the CA stays closed to it."""
    authority.init(engine.tls_files, hosts=["localhost"])
    engine.prepare(Listeners(HERE.plain, Address("127.0.0.1", 8883)))
    assert _access(engine.folder / "server.key") == (NOBODY.uid, NOBODY.gid, 0o600)
    assert (engine.folder / "server.key").read_bytes() == engine.tls_files.server_key.read_bytes()
    assert _access(engine.tls_files.folder) == (0, 0, 0o700)
    assert not engine.certify()
    authority.init(engine.tls_files, hosts=["localhost"])
    assert engine.certify()
    assert (engine.folder / "server.pem").read_bytes() == engine.tls_files.server_pem.read_bytes()
    assert _access(engine.folder / "server.pem") == (NOBODY.uid, NOBODY.gid, 0o600)
