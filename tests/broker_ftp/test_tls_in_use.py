"""FTPS as it lasts: many cameras at once, revoked accounts, certificates that are renewed or of no use, stock clients."""

import ftplib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.store import accounts
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.ftp import FtpError, FtpServer


@pytest.fixture
def way():
    return "tls"


def test_thirty_cameras_at_once(house, draw_photo):
    """Thirty sessions shake hands and upload at the same time: all photos are stored."""
    token = house.account("front-door")
    photos = [draw_photo(seed=seed) for seed in range(5)]

    def one(number):
        wire = house.connect()
        try:
            wire.login("front-door", token)
            ids = [new_photo_id() for _ in range(2)]
            return [(photo, wire.put(f"STOR {photo}.jpg", photos[number % 5])) for photo in ids]
        finally:
            wire.close()

    with ThreadPoolExecutor(30) as pool:
        done = list(pool.map(one, range(30)))
    for number, answers in enumerate(done):
        for photo, reply in answers:
            assert reply.startswith("226")
            assert house.stored("front-door", photo) == photos[number % 5]


def test_a_revoked_camera_is_thrown_out(house):
    """Under TLS, too: it is told, and its connection is closed."""
    camera = house.camera()
    house.database.write(lambda c: accounts.revoke(c, name="front-door", now_ms=now_ms()))
    assert camera.reply().startswith("421")
    assert camera.lines.read(1) == b""


def test_a_renewed_certificate_is_taken_up(make_house, tmp_path, jpeg, photo_id):
    """New connections get the renewed one without a restart; a broken one is not taken up."""
    files = TlsFiles(tmp_path / "tls")
    authority.init(files, hosts=["localhost"])
    house = make_house()
    house.server.stop()
    house.tls_files = files
    house.start()

    def serial():
        return house.wire().socket.getpeercert()["serialNumber"]

    camera = house.camera()
    first = serial()
    authority.init(files, hosts=["localhost"])
    second = serial()
    assert first != second
    files.server_pem.write_text("not a certificate")
    assert serial() == second
    files.server_pem.unlink()
    assert serial() == second
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


@pytest.mark.parametrize("tls", ["allow", "require"])
@pytest.mark.parametrize("damage", ["missing", "no certificate", "another's key", "nothing given"])
def test_no_start_without_a_certificate(house, tmp_path, tls, damage):
    """Where FTPS is asked for and can't be had the server does not start, and says what to run."""
    files = TlsFiles(tmp_path / "tls")
    if damage != "missing":
        authority.init(files, hosts=["localhost"])
    if damage == "no certificate":
        files.server_pem.write_text("hello")
    if damage == "another's key":
        authority.init(TlsFiles(tmp_path / "other"), hosts=["localhost"])
        files.server_key.write_bytes(TlsFiles(tmp_path / "other").server_key.read_bytes())
    server = FtpServer(
        settings=house.settings.model_copy(update={"tls": tls}),
        database=house.database,
        blobs=house.blobs,
        partial_dir=tmp_path / "partial-2",
        tls_files=None if damage == "nothing given" else files,
    )
    with pytest.raises(FtpError, match=r"certificate" if damage == "nothing given" else r"aperture tls init"):
        server.start()


def test_ftplib_as_its_manual_has_it(house, jpeg):
    """FTP_TLS with a verified certificate: upload, resume, quit; it waits for the server's close_notify."""
    client = house.ftplib("front-door", ftp_only=True)
    half = len(jpeg) // 2
    with pytest.raises(ftplib.error_temp, match="426"):
        client.storbinary("STOR a.jpg", io.BytesIO(jpeg[:half]))
    assert client.size("a.jpg") == half
    assert client.storbinary("STOR a.jpg", io.BytesIO(jpeg[half:]), rest=half).startswith("226")
    assert client.nlst() == []
    assert client.quit().startswith("221")
    (row,) = house.rows()
    assert house.stored("front-door", row.id) == jpeg
