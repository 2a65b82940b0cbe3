"""Who may log in, and what nobody may do: read photos back, touch another camera's, or point the server at others."""

import contextlib
import ftplib
import socket
import time

import pytest

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.store import accounts
from aperture.store.accounts import Role


def revoke(house, name):
    house.database.write(lambda c: accounts.revoke(c, name=name, now_ms=now_ms()))


def test_wrong_passwords(make_house, monkeypatch):
    """A wrong name or password is refused after a pause, and the session closed after a few; both read the same."""
    monkeypatch.setattr("broker.ftp.control._WRONG_PASSWORD_PAUSE_S", 0.1)
    house = make_house(max_logins=2)
    secret = house.account("front-door")
    wire = house.wire()
    began = time.monotonic()
    assert wire.ask("USER front-door", "PASS wrong") == "530 Wrong name or password."
    assert time.monotonic() - began >= 0.1
    assert wire.ask("USER nobody", f"PASS {secret}").startswith("530 Wrong name or password")
    assert wire.socket.recv(1) == b""
    assert house.wire().login("front-door", secret)


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_only_cameras_log_in(house, role, monkeypatch):
    monkeypatch.setattr("broker.ftp.control._WRONG_PASSWORD_PAUSE_S", 0.0)
    secret = house.database.write(lambda c: accounts.add(c, name="someone", role=role, now_ms=1))
    assert house.wire().ask("USER someone", f"PASS {secret}").startswith("530")


def test_without_login_nothing_works(house, photo_id):
    wire = house.wire()
    for command in (f"STOR {photo_id}.jpg", f"SIZE {photo_id}.jpg", "EPSV", "PWD", "LIST", "ALLO 5"):
        assert wire.ask(command).startswith("530")


def test_an_account_works_as_soon_as_it_is_there(house):
    """A login right after `camera add` finds the account, though the copy of the accounts is older."""
    secret = house.account("brand-new")
    assert house.wire().login("brand-new", secret)


@pytest.mark.parametrize("how", ["revoke", "rotate"])
def test_a_revoked_camera_is_thrown_out(house, how):
    """Within a second of `camera revoke` or `rotate`, a live session is closed, and the old secret is void."""
    camera, other = house.camera("front-door"), house.camera("back-yard")
    if how == "revoke":
        revoke(house, "front-door")
    else:
        house.database.write(lambda c: accounts.rotate(c, name="front-door", now_ms=now_ms()))
    began = time.monotonic()
    assert camera.reply().startswith("421")
    assert camera.socket.recv(1) == b""
    assert time.monotonic() - began < 1.0
    assert house.wire().ask("USER front-door", f"PASS {house.secrets['front-door']}").startswith("530")
    assert other.ask("NOOP").startswith("200")


def test_a_revoked_camera_s_upload_is_cut(house, jpeg, photo_id):
    camera = house.camera()
    connection = camera.data()
    camera.ask(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg[:500])
    revoke(house, "front-door")
    assert camera.reply().startswith("421")
    connection.close()
    assert house.rows() == []


@pytest.mark.parametrize(
    "path",
    [
        "holiday.jpg",
        "{id}",
        "{id}.jpeg",
        "{id}.JPG",
        "{ID}.jpg",
        "../back-yard/{id}.jpg",
        "/back-yard/{id}.jpg",
        "sub/{id}.jpg",
        "/firmware/{id}.jpg",
        "/firmware/app.bin",
        ".",
        "..",
        "/",
        "{id}.jpg.part",
        "x" * 300,
    ],
)
@pytest.mark.parametrize("command", ["STOR", "APPE"])
def test_only_photos_by_their_id_can_be_uploaded(house, jpeg, photo_id, path, command):
    """Any other name or place is refused with 553, in words, and leaves nothing on the disk."""
    camera = house.camera()
    name = path.format(id=photo_id, ID=photo_id.upper())
    assert camera.put(f"{command} {name}", jpeg).startswith("553")
    assert camera.ask("NOOP").startswith("200")
    assert not list(house.partial_dir.glob("**/*.part"))
    assert house.rows() == []


def test_dots_end_at_the_root(house, jpeg, photo_id):
    """`../` leads nowhere else than to the camera's own root."""
    assert house.camera().put(f"STOR ../../../{photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_photos_are_not_read_listed_renamed_or_deleted(house, jpeg, photo_id):
    """A camera can't do anything with a photo, its own included, once it is handed over; nor see another's."""
    camera = house.camera()
    camera.put(f"STOR {photo_id}.jpg", jpeg)
    for wire in (camera, house.camera("back-yard")):
        for path in (f"{photo_id}.jpg", f"/front-door/{photo_id}.jpg", f"../photos/front-door/{photo_id}.jpg"):
            for command in ("DELE", "RNFR", "RMD", "MKD", "CWD"):
                assert wire.ask(f"{command} {path}").startswith("550"), command
            for command in ("RETR", "LIST", "NLST", "MLSD"):
                connection = wire.data()
                assert wire.ask(f"{command} {path}").startswith("550"), command
                with connection, contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
        for command in ("MDTM", "MLST", "SITE CHMOD 777", "MFMT 20200101000000", "STOU"):
            assert wire.ask(f"{command} {photo_id}.jpg")[0] == "5"
        assert wire.ask(f"STAT {photo_id}.jpg")[0] == "5"
    assert house.stored("front-door", photo_id) == jpeg


def test_firmware_is_read_only_and_ends_at_its_folder(house, tmp_path):
    """No path and no link leads out of /firmware, and nothing can be put there."""
    (tmp_path / "secret").write_text("secret")
    (house.firmware_dir / "link").symlink_to(tmp_path / "secret")
    (house.firmware_dir / "app.bin").write_bytes(b"firmware")
    client = house.ftplib("front-door")
    for path in ("/firmware/../secret", "/firmware/link", "/firmware/none", "/firmware", "/firmware/", "/etc/passwd"):
        with pytest.raises(ftplib.error_perm, match="550"):
            client.retrbinary(f"RETR {path}", lambda _: None)
        with pytest.raises(ftplib.error_perm, match="550"):
            client.size(path)
    with pytest.raises(ftplib.error_perm, match="550"):
        client.delete("/firmware/app.bin")
    client.close()


def test_active_mode_is_refused(house):
    """PORT and EPRT: the server connects to nobody, not even to the client itself."""
    camera = house.camera()
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        port = trap.getsockname()[1]
        assert camera.ask(f"PORT 127,0,0,1,{port // 256},{port % 256}").startswith("502")
        assert camera.ask(f"EPRT |1|127.0.0.1|{port}|").startswith("502")
        assert camera.ask("PORT 10,0,0,1,0,22").startswith("502")
        assert camera.ask(f"STOR {new_photo_id()}.jpg").startswith("425")
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_data_connection_from_elsewhere_is_refused(house, jpeg, photo_id):
    """Another host that guesses the port is turned away, without a word to the session, whose photo comes through."""
    camera = house.camera()
    port = int(camera.ask("EPSV").split("|")[3])
    thief = socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.0.2", 0))
    assert thief.recv(1) == b""
    thief.close()
    assert camera.ask("NOOP").startswith("200")
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        assert camera.ask(f"STOR {photo_id}.jpg")[0] == "1"
        connection.sendall(jpeg)
    assert camera.reply().startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_a_refused_upload_s_bytes_are_not_the_next_one_s(house, jpeg, other_jpeg, photo_id):
    """After a refused STOR its data connection is closed: bytes that wait there never become another photo."""
    camera = house.camera()
    connection = camera.data()
    connection.sendall(other_jpeg)
    assert camera.ask("STOR no-photo.jpg").startswith("553")
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("425")
    connection.close()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg
