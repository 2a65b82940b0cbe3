"""The CA and the certificate: what cameras trust stays what it was, and whatever happens half-way is completed."""

import os
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from aperture.store import private_file
from aperture.tls import authority, names
from aperture.tls.errors import TlsError
from aperture.tls.files import LiveContext, TlsFiles
from simulator.available import micropython
from simulator.errors import NotAvailableError

HOSTS = ["localhost", "127.0.0.1", "::1", "server.local"]


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(tmp_path / "tls")


def init(files: TlsFiles, **options) -> authority.Certificate:
    return authority.init(files, **{"hosts": HOSTS, **options})


@contextmanager
def listening(files: TlsFiles) -> Iterator[int]:
    """A server that shakes hands and says "hello"; its port."""
    context = files.context()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.settimeout(10)
                with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                    secured.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def reaches(port: int, ca: Path, name: str) -> bool:
    """Whether a client that trusts `ca` alone shakes hands with a server of this name."""
    context = ssl.create_default_context(cafile=str(ca))
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as secured:
                return secured.recv(5) == b"hello"
        except ssl.SSLCertVerificationError:
            return False


def test_what_is_made(files):
    """Everything is there, for its owner alone; the CA also as DER, and the certificate with its chain."""
    made = init(files, days=40)
    assert {path.name for path in files.folder.iterdir()} == {"ca.pem", "ca.key", "ca.der", "server.pem", "server.key"}
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()} == {0o600}
    assert ssl.DER_cert_to_PEM_cert(files.ca_der.read_bytes()) == files.ca_pem.read_text()
    assert files.server_pem.read_text().endswith(files.ca_pem.read_text())
    assert made.new_ca
    assert made.names == HOSTS
    assert made.days_left() == 39
    assert authority.inspect(files).names == HOSTS


def test_who_trusts_it(files, tmp_path):
    """A client that has the CA, under each of the names, and under no other; a client with another CA does not."""
    init(files)
    other = TlsFiles(tmp_path / "other")
    init(other)
    with listening(files) as port:
        assert [reaches(port, files.ca_pem, name) for name in HOSTS] == [True] * len(HOSTS)
        assert not reaches(port, files.ca_pem, "elsewhere.local")
        assert not reaches(port, files.ca_pem, "127.0.0.2")
        assert not reaches(port, other.ca_pem, "localhost")


CAMERA = """
import ssl, socket, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ssl.CERT_REQUIRED
with open(sys.argv[2], "rb") as file:
    context.load_verify_locations(cadata=file.read())
for name in sys.argv[3:]:
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
    try:
        print(context.wrap_socket(sock, server_hostname=name).read(5).decode())
    except ValueError as error:
        print(str(error).strip().replace("\\n", " "))
    sock.close()
"""


@pytest.fixture
def camera(tmp_path: Path) -> Callable[..., list[str]]:
    """Have MicroPython shake hands, once for each name; return what it says."""
    script = tmp_path / "camera.py"
    script.write_text(CAMERA)

    def run(port: int, ca: Path, *hosts: str) -> list[str]:
        try:
            command = micropython(str(script), str(port), str(ca), *hosts)
        except NotAvailableError as error:
            pytest.skip(str(error))
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()

    return run


def test_micropython_trusts_it(files, tmp_path, camera):
    """mbedTLS, as on a camera, verifies the chain from ca.der, names and addresses; wrong ones and another CA fail."""
    init(files)
    other = TlsFiles(tmp_path / "other")
    init(other)
    with listening(files) as port:
        assert camera(port, files.ca_der, *HOSTS) == ["hello"] * len(HOSTS)
        wrong = camera(port, files.ca_der, "elsewhere.local", "127.0.0.2")
        assert all("does not match" in said for said in wrong)
        (stranger,) = camera(port, other.ca_der, "localhost")
        assert "not correctly signed by the trusted CA" in stranger


def test_a_camera_without_a_clock_can_connect(files):
    """MicroPython checks dates, and a camera that has no time yet lives in the year 2000."""
    init(files)
    for certificate in x509.load_pem_x509_certificates(files.server_pem.read_bytes()):
        assert certificate.not_valid_before_utc < datetime(2000, 1, 1, tzinfo=UTC)
        assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3000)


def test_again_keeps_the_ca(files):
    """Cameras go on trusting the server, whose certificate is new; names that were asked for before stay."""
    init(files, hosts=["localhost", "cam.example.org"])
    ca = [path.read_bytes() for path in (files.ca_pem, files.ca_key, files.ca_der)]
    key, first = files.server_key.read_bytes(), files.server_pem.read_bytes()
    made = init(files, hosts=["localhost", "10.0.0.7"])
    assert [path.read_bytes() for path in (files.ca_pem, files.ca_key, files.ca_der)] == ca
    assert files.server_key.read_bytes() == key  # one file is replaced, in one step
    assert files.server_pem.read_bytes() != first
    assert not made.new_ca
    assert made.names == ["localhost", "10.0.0.7", "cam.example.org"]


def test_force_makes_a_new_ca(files, tmp_path):
    """Who trusted the old one does not trust this; who has the new one does."""
    init(files, hosts=["localhost", "cam.example.org"])
    old = tmp_path / "old.pem"
    old.write_bytes(files.ca_pem.read_bytes())
    made = init(files, hosts=["localhost"], force=True)
    assert made.new_ca
    assert made.names == ["localhost", "cam.example.org"]
    with listening(files) as port:
        assert reaches(port, files.ca_pem, "localhost")
        assert not reaches(port, old, "localhost")


@pytest.mark.parametrize("how", ["first", "again", "force"])
@pytest.mark.parametrize("after", range(6))
def test_a_power_cut_half_way(files, monkeypatch, how, after):
    """Whatever was written, another run completes it; a renewal that is cut leaves what was there, or is done."""
    if how != "first":
        init(files)
    real, left = private_file.write, [after]

    def write(*arguments, **options) -> None:
        if not left[0]:
            raise InterruptedError
        left[0] -= 1
        real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(private_file, "write", write)
        with suppress(InterruptedError):
            init(files, force=how == "force")
    if how == "again":
        assert files.context()
    if how == "force":
        with suppress(TlsError):  # it says so, and what to do
            init(files)
        init(files, force=True)
    else:
        init(files)
    with listening(files) as port:
        assert reaches(port, files.ca_pem, "localhost")


def test_what_can_not_be_continued_is_said(files, tmp_path):
    """Each with what to do; nothing is overwritten."""
    other = TlsFiles(tmp_path / "other")
    init(other)
    init(files)
    kept = {path.name: path.read_bytes() for path in files.folder.iterdir()}

    def refused(*changes: tuple[str, bytes | None], words: str) -> None:
        for name, content in changes:
            path = files.folder / name
            path.unlink() if content is None else path.write_bytes(content)
        before = {path.name: path.read_bytes() for path in files.folder.iterdir()}
        with pytest.raises(TlsError, match=words):
            init(files)
        assert {path.name: path.read_bytes() for path in files.folder.iterdir()} == before
        for name, content in kept.items():
            (files.folder / name).write_bytes(content)

    refused(("ca.key", None), words=r"ca\.key.*put it back.*--force")
    refused(("ca.key", b"hello"), words=r"ca\.key.*--force")
    refused(("ca.key", other.ca_key.read_bytes()), words=r"does not belong.*--force")
    refused(("ca.pem", b"hello"), words=r"no certificate.*--force")
    refused(("ca.pem", None), words=r"put ca\.pem and ca\.key back.*--force")
    refused(("server.pem", other.server_pem.read_bytes()), words=r"not signed by this CA.*--force")


def test_a_ca_that_ends_is_not_continued(files, monkeypatch):
    """Nor does a certificate outlive its CA."""
    monkeypatch.setattr(authority, "_CA_DAYS", 40)
    made = init(files, days=3650)
    assert made.ends_at == made.ca_ends_at
    monkeypatch.setattr(authority, "WARN_DAYS", 50)
    with pytest.raises(TlsError, match="--force"):
        init(files)


def test_a_clock_that_is_not_set(files, monkeypatch):
    """A Pi without a clock must not make a certificate that ended long ago."""
    monkeypatch.setattr(authority, "_CLOCK_IS_SET", datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(TlsError, match="clock"):
        init(files)
    assert not files.folder.exists()


def test_a_listener_s_memory_stays_flat(files):
    """What OpenSSL keeps of each connection goes with its context, which is replaced now and then."""
    init(files)
    live = LiveContext(files)
    first = live.current()
    assert live.current() is first
    contexts = {id(live.current()) for _ in range(1200)}
    assert len(contexts) > 1
    files.server_pem.unlink()
    assert all(live.current() for _ in range(600))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_may_not_be_read(files):
    init(files)
    files.server_key.chmod(0)
    with pytest.raises(TlsError, match="may not read"):
        files.context()


def test_there_is_none(files):
    """What wants a certificate says how to get one."""
    for look in (files.context, lambda: authority.inspect(files)):
        with pytest.raises(TlsError, match="aperture tls init"):
            look()
    assert files.stamp() is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [("Pi.Local.", "pi.local"), ("192.168.1.7", "192.168.1.7"), ("FD00::1", "fd00::1"), ("a-b.example", "a-b.example")],
)
def test_names(text, meant):
    assert str(names.parse(text)) == meant


@pytest.mark.parametrize("text", ["", "a b", "-a", "a_b", "*.example.org", "300.1.1.1", "a" * 64, "http://x", "1.2.3"])
def test_what_is_no_name(text):
    with pytest.raises(ValueError, match="neither"):
        names.parse(text)


def test_this_machine_s_names():
    """Localhost, what it calls itself, and addresses of its own, each once."""
    found = [str(name) for name in names.of_this_machine()]
    assert found[:3] == ["localhost", "127.0.0.1", "::1"]
    assert len(found) == len(set(found))
    assert names.is_wildcard("0.0.0.0")
    assert not names.is_wildcard("127.0.0.1")
