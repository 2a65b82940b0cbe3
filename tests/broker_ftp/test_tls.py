"""FTPS (explicit, RFC 4217): nothing that holds in the clear is lost under TLS, and nothing goes in the clear that must not."""

import contextlib
import hashlib
import socket
import ssl
import struct
import time

import pytest

from aperture.contract.ids import new_photo_id
from aperture.tls import authority
from aperture.tls.files import TlsFiles
from broker.ftp import data as data_module


@pytest.fixture
def way():
    return "tls"


@pytest.fixture
def plain(house):
    """A connection to a server that demands TLS, without it."""
    house.account("front-door")
    return house.wire(trust=None)


def secret(house, **options):
    if "front-door" not in house.secrets:
        house.secrets["front-door"] = house.account("front-door", **options)
    return house.secrets["front-door"]


# What is demanded, offered, and not there


def test_no_password_in_the_clear(house, plain):
    """Where TLS is demanded neither name nor password is taken before AUTH; the reply says what to send."""
    for command in ("USER front-door", f"PASS {'x' * 26}"):
        reply = plain.ask(command)
        assert reply.startswith("534")
        assert "AUTH TLS" in reply
    assert plain.ask("NOOP").startswith("200")


@pytest.mark.parametrize("command", ["STOR {}.jpg", "APPE {}.jpg", "RETR /firmware/app.bin", "LIST", "NLST", "MLSD"])
@pytest.mark.parametrize("ftp_only", [False, True])
def test_no_data_in_the_clear(house, jpeg, photo_id, command, ftp_only):
    """Without PROT P no command that moves bytes is obeyed, and PROT C is refused."""
    (house.firmware_dir / "app.bin").write_bytes(b"firmware")
    wire = house.wire(trust=None)
    assert wire.ask("AUTH TLS").startswith("234")
    wire.lines.close()
    wire.socket = house.trust.wrap_socket(wire.socket, server_hostname="localhost")
    wire.lines = wire.socket.makefile("rb")
    wire.login("front-door", secret(house, ftp_only=ftp_only))
    assert wire.ask("PROT P").startswith("503")
    assert wire.ask("PBSZ 0").startswith("200")
    assert wire.ask("PROT C").startswith("534")
    wire.data().close()
    reply = wire.ask(command.format(photo_id))
    if reply[:3] not in {"550", "553"}:  # a camera can't list, and a foreign one not read, whatever the way
        assert reply.startswith("521")
        assert "PROT P" in reply
    assert house.rows() == []
    assert wire.ask("PROT P").startswith("200")
    wire.trust = house.trust
    assert wire.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_both_ways_where_tls_is_allowed(make_house, jpeg, other_jpeg, draw_photo):
    """A camera without TLS and one with it hand over to the same server; PROT C leaves the data in the clear."""
    house = make_house(tls="allow")
    trust = ssl.create_default_context(cafile=str(house.tls_files.ca_pem))
    in_the_clear = house.camera()
    under_tls = house.wire(trust=trust).login("front-door", secret(house))
    half = house.wire(trust=trust).login("front-door", secret(house))
    assert half.ask("PROT C").startswith("200")
    half.trust = None
    for wire, data in ((in_the_clear, jpeg), (under_tls, other_jpeg), (half, draw_photo(seed=9))):
        assert wire.put(f"STOR {new_photo_id()}.jpg", data).startswith("226")
    assert len(house.rows()) == 3


def test_what_is_off_is_said(make_house):
    """A server without TLS says so to AUTH, and does not list it."""
    wire = make_house(tls="off").camera()
    for command in ("AUTH TLS", "PBSZ 0", "PROT P"):
        assert wire.ask(command)[0] == "5"
    wire.send("FEAT")
    listed = b"".join(wire.lines_to_come(8))
    assert b"AUTH" not in listed


def test_it_is_listed(house):
    wire = house.wire(trust=None)
    wire.send("FEAT")
    listed = b"".join(wire.lines_to_come(11))
    assert all(line in listed for line in (b" AUTH TLS\r\n", b" PBSZ\r\n", b" PROT\r\n"))


@pytest.mark.parametrize(
    ("command", "code"),
    [("AUTH SSL", "504"), ("AUTH KERBEROS_V4", "504"), ("AUTH", "501"), ("PBSZ 0", "503"), ("PROT P", "503")],
)
def test_what_is_none_of_it(plain, command, code):
    assert plain.ask(command).startswith(code)
    assert plain.ask("NOOP").startswith("200")


def test_the_rest_of_the_protocol(house):
    """AUTH twice, unknown levels, and REIN, after which the connection would have to be in the clear again."""
    camera = house.camera()
    assert camera.ask("AUTH TLS").startswith("503")
    assert camera.ask("PBSZ 0").startswith("200 PBSZ=0")
    for level, code in (("S", "536"), ("E", "536"), ("X", "504")):
        assert camera.ask(f"PROT {level}").startswith(code)
    assert camera.ask("REIN").startswith("502")
    assert camera.ask("NOOP").startswith("200")


def test_auth_forgets_who_it_was(make_house):
    """A login in the clear is void once the connection goes over to TLS (RFC 2228, 3)."""
    house = make_house(tls="allow")
    camera = house.camera()
    camera.go_over(ssl.create_default_context(cafile=str(house.tls_files.ca_pem)))
    assert camera.ask("PWD").startswith("530")
    assert camera.login("front-door", secret(house))


def test_nothing_follows_auth_in_the_clear(house, jpeg):
    """Commands that somebody on the way adds behind AUTH are not obeyed as if they had come under TLS."""
    wire = house.wire(trust=None)
    assert wire.ask("AUTH TLS", "NOOP")[:3] in {"503", ""}
    assert wire.socket.recv(1) == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions(house, jpeg, photo_id, version):
    """TLS 1.2, which MicroPython speaks, and newer; nothing older."""
    trust = house.trust
    trust.set_ciphers("DEFAULT:@SECLEVEL=0")
    trust.minimum_version = trust.maximum_version = version
    if version is ssl.TLSVersion.TLSv1_1:
        with pytest.raises(ssl.SSLError):
            house.wire(trust=trust)
    else:
        camera = house.wire(trust=trust).login("front-door", secret(house))
        assert camera.socket.version() == version.name.replace("_", ".")
        assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_a_stranger_s_ca_is_not_trusted(house, tmp_path):
    """A camera with another CA's certificate does not log in here, and the log says what it complained of."""
    other = TlsFiles(tmp_path / "other")
    authority.init(other, hosts=["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError):
        house.wire(trust=ssl.create_default_context(cafile=str(other.ca_pem)))


# The end of a stream


@pytest.mark.parametrize("way_out", ["fin", "reset"])
@pytest.mark.parametrize("said", [False, True])
def test_a_cut_is_no_end(house, jpeg, photo_id, way_out, said):
    """Half a photo, and the connection ends without a close_notify: no 226, and it goes on where it was cut."""
    camera = house.camera()
    half = len(jpeg) // 2
    if said:
        camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}")
    connection = camera.data()
    camera.send(f"STOR {photo_id}.jpg")
    assert camera.reply()[0] == "1"
    connection.sendall(jpeg[:half])
    camera.until_taken(connection)
    if way_out == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.cut()
    assert camera.reply().startswith("426")
    assert house.rows() == []
    assert camera.ask(f"SIZE {photo_id}.jpg") == f"213 {half}"
    assert camera.ask(f"REST {half}").startswith("350")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[half:]).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


def test_size_and_hash_decide_without_a_close_notify(house, jpeg, photo_id):
    """MicroPython never sends one: a photo whose announced bytes are all there is stored all the same."""
    camera = house.camera()
    camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}")
    connection = camera.data()
    camera.send(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg)
    connection.cut()
    assert [camera.reply()[:3] for _ in range(2)] == ["125", "226"]
    assert house.stored("front-door", photo_id) == jpeg


def test_without_either_the_end_must_be_said(house, jpeg, photo_id):
    """With nothing announced, a FIN alone ends no file, be it a whole JPEG: whoever cut the stream chose that place."""
    camera = house.camera()
    connection = camera.data()
    camera.send(f"STOR {photo_id}.jpg")
    connection.sendall(jpeg)
    connection.cut()
    assert [camera.reply()[:3] for _ in range(2)] == ["125", "426"]
    assert camera.put(f"STOR {photo_id}.jpg", jpeg, said=False).startswith("226")


def test_a_client_hears_the_end_of_what_it_reads(house):
    """The server ends a download with a close_notify, so that a client can tell it from a cut one."""
    (house.firmware_dir / "app.bin").write_bytes(bytes(70_000))
    camera = house.camera()
    connection = camera.data()
    camera.send("RETR /firmware/app.bin")
    secured = connection.shake()  # it raises SSLEOFError at a FIN without close_notify
    got = b""
    while part := secured.recv(65536):
        got += part
    connection.close()
    assert got == bytes(70_000)
    assert [camera.reply()[:3] for _ in range(2)] == ["125", "226"]


# Handshakes


def hello(trust):
    """A ClientHello, and what goes on with it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return client, incoming, outgoing


def test_a_handshake_begun_ahead_of_stor(house, jpeg, photo_id):
    """A camera in a hurry begins its handshake before STOR: the server answers it as soon as there is a STOR."""
    camera = house.camera()
    camera.ask(f"SITE SHA256 {hashlib.sha256(jpeg).hexdigest()}", f"ALLO {len(jpeg)}")
    client, incoming, outgoing = hello(house.trust)
    plain = camera.data().plain
    plain.sendall(outgoing.read())
    camera.until_taken(plain)
    camera.settle()
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("125")
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            plain.sendall(outgoing.read())
            incoming.write(plain.recv(65536))
    client.write(jpeg)
    plain.sendall(outgoing.read())
    plain.close()
    assert camera.reply().startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


GARBAGE = {"noise": b"\x00" * 300, "plain": b"\xff\xd8\xff\xe0" * 100, "text": b"USER front-door\r\n", "nothing": b""}


@pytest.mark.parametrize("what", GARBAGE)
@pytest.mark.parametrize("command", ["STOR {}.jpg", "RETR /firmware/app.bin"])
def test_garbage_in_a_data_handshake_s_place(house, jpeg, photo_id, what, command):
    """It is answered with 425, nothing of it is kept, and the session goes on."""
    (house.firmware_dir / "app.bin").write_bytes(b"firmware")
    camera = house.camera()
    plain = camera.data().plain
    plain.sendall(GARBAGE[what])
    camera.send(command.format(photo_id))
    assert camera.reply()[0] == "1"
    plain.close()
    assert camera.reply().startswith("425")
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_in_a_login_handshake_s_place(house, what):
    """The connection is closed, and others don't notice."""
    other = house.camera()
    wire = house.wire(trust=None)
    assert wire.ask("AUTH TLS").startswith("234")
    with contextlib.suppress(OSError):  # it may be closed already
        wire.socket.sendall(GARBAGE[what])
        wire.socket.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):
        while wire.socket.recv(4096):
            pass
    assert other.ask("NOOP").startswith("200")


def test_a_handshake_that_hangs(house, jpeg, monkeypatch, until):
    """Data connections whose handshake never comes are given up, cost nothing meanwhile, and hold up nobody."""
    monkeypatch.setattr(data_module, "_HANDSHAKE_S", 1.0)
    (house.firmware_dir / "app.bin").write_bytes(b"firmware")
    hanging = [house.camera() for _ in range(4)]
    plains = [camera.data().plain for camera in hanging]
    ours = hello(house.trust)[2].read()
    for camera, plain, (command, part) in zip(
        hanging,
        plains,
        [(f"STOR {new_photo_id()}.jpg", b""), (f"STOR {new_photo_id()}.jpg", ours[:20]), ("RETR /firmware/app.bin", b""), ("RETR /firmware/app.bin", ours)],
        strict=True,
    ):  # fmt: skip
        plain.sendall(part)
        camera.send(command)
        assert camera.reply()[0] == "1"
    assert house.camera().put(f"STOR {new_photo_id()}.jpg", jpeg).startswith("226")
    busy = time.process_time()
    assert all(camera.reply().startswith("425") for camera in hanging)
    assert time.process_time() - busy < 0.5
    for plain in plains:
        plain.close()
    assert not house.server._shared.active
    assert hanging[0].put(f"STOR {new_photo_id()}.jpg", jpeg).startswith("226")


@pytest.mark.parametrize("idle_s", [1, 300])
def test_a_login_handshake_that_hangs(make_house, monkeypatch, idle_s):
    """Whoever says AUTH and then nothing is turned out when the time for a login is over."""
    monkeypatch.setattr("broker.ftp.control._LOGIN_S", 1.5)
    house = make_house(idle_s=idle_s)
    wire = house.wire(trust=None)
    assert wire.ask("AUTH TLS").startswith("234")
    wire.socket.sendall(hello(ssl.create_default_context(cafile=str(house.tls_files.ca_pem)))[2].read()[:50])
    busy, began = time.process_time(), time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        assert wire.socket.recv(1) == b""
    assert time.monotonic() - began < 5
    assert time.process_time() - busy < 0.5


def test_byte_by_byte(house, jpeg, photo_id):
    """A handshake and a record that arrive in single bytes are put together."""
    camera = house.camera()
    client, incoming, outgoing = hello(house.trust)
    plain = camera.data().plain
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    camera.ask(f"ALLO {len(jpeg)}")
    camera.send(f"STOR {photo_id}.jpg")
    assert camera.reply()[0] == "1"

    def flush():
        for octet in outgoing.read():
            plain.sendall(bytes([octet]))

    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            flush()
            incoming.write(plain.recv(65536))
    client.write(jpeg[:2000])
    flush()
    client.write(jpeg[2000:])
    plain.sendall(outgoing.read())
    plain.close()
    assert camera.reply().startswith("226")
    assert house.stored("front-door", photo_id) == jpeg


# Many, and over time
