"""What seldom happens, and must not go wrong when it does."""

import hashlib
import socket
import threading

import pytest
import structlog.testing

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.contract.messages import Manifest
from aperture.store import photos
from aperture.store.errors import StoreUnavailableError
from broker.ftp import FtpError, FtpServer


def test_a_manifest_that_contradicts_while_bytes_are_written(house, jpeg, other_jpeg, photo_id):
    """The manifest comes between the look at the rows and the commit: no 226 for bytes that are not the photo's."""
    camera = house.camera()
    inner = house.database.write
    manifest = Manifest(
        photo=photo_id, seq=1, trigger="button", bytes=len(jpeg), sha256=hashlib.sha256(jpeg).hexdigest()
    )

    def late(work):
        house.database.write = inner
        inner(lambda c: photos.announce(c, camera="front-door", manifest=manifest, now_ms=now_ms()))
        return inner(work)

    house.database.write = late
    assert camera.put(f"STOR {photo_id}.jpg", other_jpeg).startswith("550")
    assert house.stored("front-door", photo_id) is None
    assert list(house.blobs.walk()) == []
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_the_accounts_stay_in_force_without_the_database(house, jpeg, photo_id, until):
    """While the database does not answer, cameras can still log in and are told 451; then all is as before."""
    house.camera()
    read = house.database.read
    asked = []

    def fail(work):
        asked.append(work)
        raise StoreUnavailableError("gone")

    house.database.read = fail
    until(lambda: len(asked) > 2)
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("451")
    house.database.read = read
    assert house.camera("back-yard").ask("NOOP").startswith("200")
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_a_hint_that_fails_costs_nothing(house, jpeg, photo_id):
    """The hint is a hint: when it raises, the 226 has been given and the next photo comes through."""

    def fail():
        raise RuntimeError("nobody listens")

    house.server._committer._on_stored = fail
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_no_secret_is_logged(make_house, jpeg, photo_id, monkeypatch):
    """Neither the right password nor a wrong one is in any log line."""
    monkeypatch.setattr("broker.ftp.control._WRONG_PASSWORD_PAUSE_S", 0.0)
    with structlog.testing.capture_logs() as lines:
        house = make_house()
        house.camera().put(f"STOR {photo_id}.jpg", jpeg)
        house.wire().ask("USER front-door", "PASS hunter2")
        house.server.stop()
    assert {line["event"] for line in lines} >= {"ftp server listens", "photos stored", "ftp login refused"}
    assert house.secrets["front-door"] not in str(lines)
    assert "hunter2" not in str(lines)


def test_quit_while_firmware_is_sent(house):
    """QUIT right behind RETR: the file is sent to its end first (RFC 959, 4.1.1)."""
    (house.firmware_dir / "app.bin").write_bytes(bytes(3_000_000))
    camera = house.camera()
    connection = camera.data()
    camera.send("RETR /firmware/app.bin", "QUIT")
    got = 0
    while chunk := connection.recv(1 << 16):
        got += len(chunk)
    connection.close()
    assert got == 3_000_000
    assert sorted(line[:3] for line in camera.lines_to_come(3)) in ([b"125", b"221", b"226"], [b"150", b"221", b"226"])


def test_small_commands(house):
    """What clients ask in passing is answered by the book."""
    camera = house.camera()
    answers = {
        "CDUP": "250",
        "CWD /firmware": "250",
        "PWD": "257",
        "CWD": "250",
        "TYPE E": "504",
        "MODE S": "200",
        "STRU F": "200",
        "OPTS UTF8 ON": "200",
        "SYST": "215",
        "STAT": "211",
        "HELP": "214",
        "SITE HELP": "214",
        "ABOR": "225",
        "REST x": "501",
        "REST 5": "350",
        "RNTO x": "503",
        "PASS x": "503",
        "BOGUS": "500",
        "SIZE": "501",
        "SIZE \x01": "550",
        "REIN": "230",
        "PWD ": "530",
        "PASS": "503",
    }
    assert {command: camera.ask(command)[:3] for command in answers} == answers


def test_an_upload_without_a_data_connection_goes_with_its_login(house, jpeg, photo_id):
    """Another login on the same connection does not inherit a STOR that waits for its data."""
    house.camera("back-yard")
    camera = house.camera()
    port = int(camera.ask("EPSV").split("|")[3])
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("150")
    camera.login("back-yard", house.secrets["back-yard"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.rows()[0].camera == "back-yard"


def test_two_files_of_one_name_wait_for_each_other(house, jpeg, photo_id, until):
    """A second session's STOR of a photo that is being committed waits for that, and can't damage it."""
    first, second = house.camera(), house.camera()
    inner = house.blobs.adopt
    entered, leave = threading.Event(), threading.Event()

    def slow(arrivals):
        entered.set()
        leave.wait(10)
        return inner(arrivals)

    house.blobs.adopt = slow
    connection = first.data()
    first.send(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg)
    connection.close()
    assert entered.wait(10)
    connection = second.data()
    second.send(f"STOR {photo_id}.jpg")
    assert house.camera("back-yard").ask("NOOP").startswith("200")  # the loop has seen the STOR, and waits for nobody
    leave.set()
    connection.sendall(jpeg)
    connection.close()
    for camera in (first, second):
        assert [line[:1] for line in camera.lines_to_come(2)] == [b"1", b"2"]
    assert house.stored("front-door", photo_id) == jpeg
    assert house.events() == ["photo.stored"]


def test_starting_twice_and_stopping_early(house, tmp_path):
    """A server runs once, and one that never ran can be stopped."""
    with pytest.raises(FtpError, match="make a new one"):
        house.server.start()
    FtpServer(
        settings=house.settings, database=house.database, blobs=house.blobs, partial_dir=tmp_path / "other"
    ).stop()


def test_a_start_without_a_database_leaves_nothing_open(house, tmp_path, monkeypatch):
    server = FtpServer(
        settings=house.settings, database=house.database, blobs=house.blobs, partial_dir=tmp_path / "other"
    )

    def fail(_):
        raise StoreUnavailableError("gone")

    monkeypatch.setattr("broker.ftp.accounts.Accounts.load", fail)
    with pytest.raises(StoreUnavailableError):
        server.start()


def test_a_foreign_camera_s_folders_have_an_end(house):
    """Folders and names are remembered, but not without limit."""
    camera = house.camera("garage", ftp_only=True)
    replies = []
    for first in range(0, 1100, 20):
        camera.send(*[f"MKD day-{number}" for number in range(first, first + 20)])
        replies += [camera.reply()[:3] for _ in range(20)]
    assert replies[0] == "257"
    assert replies[-1] == "550"
    assert camera.put("STOR day-1", b"x", said=False).startswith("553")
    assert camera.put("STOR x.txt", b"x", said=False).startswith("226")
    assert camera.ask("CWD x.txt").startswith("550")


def test_a_second_stor_replaces_one_that_waits(house, jpeg, other_jpeg):
    """Two STORs, one data connection: its bytes are the second one's."""
    first, second = new_photo_id(), new_photo_id()
    camera = house.camera()
    port = int(camera.ask("EPSV").split("|")[3])
    assert camera.ask(f"STOR {first}.jpg").startswith("150")
    assert camera.ask(f"STOR {second}.jpg").startswith("150")
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(jpeg)
    assert camera.reply().startswith("226")
    assert [row.id for row in house.rows()] == [second]
