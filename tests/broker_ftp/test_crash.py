"""kill -9 at the worst moments: after the restart the photo is there exactly once, or its camera knows it is not."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = """
import os, signal, sys
from pathlib import Path
import structlog
from aperture.settings import FtpSettings
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database, sqlite_url
from broker.ftp import FtpServer

structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
root, moment = Path(sys.argv[1]), sys.argv[2]
database = Database.open(sqlite_url(root / "aperture.db"))
blobs = LocalBlobs(root=root / "photos")

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

adopt, write = blobs.adopt, database.write
if moment == "before the file is synced":
    blobs.adopt = die
elif moment == "between rename and commit":
    blobs.adopt = lambda arrivals: (adopt(arrivals), die())
elif moment == "between commit and 226":
    database.write = lambda work: (write(work), die())
server = FtpServer(
    settings=FtpSettings(host="127.0.0.1", port=0), database=database, blobs=blobs, partial_dir=root / "partial"
)
server.start()
print(server.port, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def doomed(tmp_path):
    """Start a server process that kills itself at the given moment."""
    processes = []

    def start(moment):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path), moment],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        processes.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize(
    ("moment", "rows"),
    [("before the file is synced", 0), ("between rename and commit", 1), ("between commit and 226", 1)],
)
@pytest.mark.parametrize("ftp_only", [False, True], ids=["our camera", "foreign camera"])
def test_killed_between_bytes_and_226(make_house, wire_to, doomed, jpeg, photo_id, moment, rows, ftp_only):
    """The camera saw no 226. After the restart it sends the photo again: one row, one file, one event."""
    house = make_house()
    secret = house.account("front-door", ftp_only=ftp_only)
    house.server.stop()
    name = "garden.jpg" if ftp_only else f"{photo_id}.jpg"
    process, port = doomed(moment)
    camera = wire_to(port).login("front-door", secret)
    connection = camera.data()
    camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}")
    camera.send(f"STOR {name}")
    connection.sendall(jpeg)
    connection.close()
    assert process.wait(10) == -signal.SIGKILL

    house.start()  # sweeps up
    assert len(house.rows()) == rows
    assert house.events() == ["photo.stored"] * rows
    again = house.wire().login("front-door", secret)
    size = again.ask(f"SIZE {name}")
    if not ftp_only:
        assert size == f"213 {len(jpeg) if rows else len(jpeg) - 1}"  # the full length is told of stored photos alone
    assert again.put(f"STOR {name}", jpeg).startswith("226")
    (row,) = house.rows()
    assert house.stored("front-door", row.id) == jpeg
    assert house.events() == ["photo.stored"]
    assert len(list(house.blobs.walk())) == 1


def test_killed_in_the_middle_of_the_bytes(make_house, wire_to, doomed, jpeg, photo_id, until, tmp_path):
    """What had come is still there after the restart, and the upload goes on from it."""
    house = make_house()
    secret = house.account("front-door")
    house.server.stop()
    process, port = doomed("never")
    camera = wire_to(port).login("front-door", secret)
    connection = camera.data()
    camera.ask(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg[:5000])
    partial = tmp_path / "partial" / "front-door" / f"{photo_id}.part"
    until(lambda: partial.exists() and partial.stat().st_size == 5000)
    process.kill()
    process.wait()
    connection.close()

    house.start()
    again = house.wire().login("front-door", secret)
    assert again.ask(f"SIZE {photo_id}.jpg") == "213 5000"
    again.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", "REST 5000")
    assert again.put_part(f"STOR {photo_id}.jpg", jpeg[5000:]).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_the_sweep_takes_only_whole_photos(make_house, jpeg, photo_id):
    """A file among the photos that is none is set aside at the start, not shown."""
    house = make_house()
    house.camera()
    house.server.stop()
    folder = house.root / "photos" / "front-door"
    folder.mkdir()
    (folder / f"{photo_id}.jpg").write_bytes(jpeg[:-2])
    house.start()
    assert house.rows() == []
    assert list(house.blobs.walk()) == []
    assert list(house.partial_dir.glob("*/*.bad"))


def test_old_partials_are_removed(make_house, jpeg, photo_id):
    """An unfinished upload is kept for days, not for ever."""
    house = make_house()
    house.camera().put_part(f"STOR {photo_id}.jpg", jpeg[:100])
    partial = house.partial_dir / "front-door" / f"{photo_id}.part"
    house.server.stop()
    house.start()
    assert partial.exists()
    house.server.stop()
    os.utime(partial, (1, 1))
    house.start()
    assert not partial.exists()


def test_a_mend_that_a_crash_interrupted(make_house, jpeg, other_jpeg, photo_id):
    """The mended file was in place, its row not: the start finds the bytes that the manifest announced."""
    from aperture.contract.messages import Manifest
    from aperture.store import photos

    house = make_house()
    house.camera().put(f"STOR {photo_id}.jpg", other_jpeg)
    manifest = Manifest(
        photo=photo_id, seq=1, trigger="button", bytes=len(jpeg), sha256=hashlib.sha256(jpeg).hexdigest()
    )
    house.database.write(lambda c: photos.announce(c, camera="front-door", manifest=manifest, now_ms=2))
    house.server.stop()
    house.blobs.path("front-door", photo_id).write_bytes(jpeg)
    house.start()
    assert house.stored("front-door", photo_id) == jpeg
    assert house.events()[-1] == "photo.mended"
