"""Where the server speaks TLS, the camera gets the certificate that it checks it by."""

import json
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def tls_server(server_class, tmp_path, libraries) -> Iterator:
    """A server that cameras reach over TLS alone, whose certificate holds for loopback."""
    (tmp_path / "tls").mkdir()
    one = server_class(tmp_path / "tls", libraries)
    one.environment |= {"APERTURE_FTP__TLS": "require", "APERTURE_MQTT__TLS_PORT": "0", "APERTURE_MQTT__PLAIN": "false"}
    yield one
    one.stop()


async def test_the_camera_has_the_certificate_and_comes_online(tls_server, flashed):
    """`/ca.der` is on the board, the secrets say that both are by TLS, and both get through."""
    tls_server.cli("tls", "init", "--host", "127.0.0.1")
    tls_server.start()
    board = await flashed()
    base = ("--camera", "safe", "--board", "sim", "--host", "127.0.0.1", "--wifi", "home")
    said = await (await tls_server.flash(str(board.port), *base)).ends()
    assert "Online" in said
    assert "FTP: up" in said
    secrets = json.loads((board.flash / "secrets.json").read_text())
    assert secrets["ftp"]["tls"] is True
    assert secrets["mqtt"] == {"host": "127.0.0.1", "port": tls_server.run["mqtt"]["tls_port"], "tls": True}
    assert (board.flash / "ca.der").read_bytes() == (tls_server.data_dir / "tls/ca.der").read_bytes()


async def test_a_certificate_for_another_name_is_told_before_anything_is_written(tls_server, make_board):
    """The camera checks the name: one that it would refuse is found here."""
    tls_server.cli("tls", "init", "--host", "127.0.0.1")
    tls_server.start()
    board = await make_board()
    base = ("--camera", "safe", "--board", "sim", "--host", "camera-server.example", "--wifi", "home")
    said = await (await tls_server.flash(str(board.port), *base)).ends(1)
    assert "aperture tls init --host camera-server.example" in said
    assert not (board.flash / "main.py").exists()
