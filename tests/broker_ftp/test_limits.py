"""Nobody can take more than their share: size, connections, time, ports."""

import errno
import hashlib
import socket
import time

import pytest

from aperture.contract.ids import new_photo_id
from broker.ftp import FtpError, FtpServer


def test_a_photo_of_50_mb_is_cut_off(house, photo_id):
    """552 as soon as the limit is passed, long before the end, and nothing of it stays on the disk."""
    camera = house.camera()
    connection = camera.data()
    camera.ask(f"STOR {photo_id}.jpg")
    chunk, sent = bytes(1 << 20), 0
    with pytest.raises(OSError):  # noqa: PT012 - it depends on the buffers which of the writes meets the closed end
        connection.sendall(b"\xff\xd8")
        for _ in range(50):
            connection.sendall(chunk)
            sent += len(chunk)
    connection.close()
    assert camera.reply().startswith("552")
    assert sent < 30 << 20
    assert not list(house.partial_dir.glob("*/*"))
    assert house.rows() == []


def test_size_announced_or_resumed_past_the_limit(make_house, jpeg, photo_id):
    """552 to ALLO, to a REST past the limit, and to a resumed upload whose sum passes it."""
    house = make_house(max_bytes=8192)
    camera = house.camera()
    assert camera.ask("ALLO 8193").startswith("552")
    assert camera.ask("ALLO 8192").startswith("200")
    assert camera.ask("ALLO many").startswith("501")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[:8000])[0] == "4"
    camera.ask("REST 8000")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg[8000:9000]).startswith("552")
    assert camera.ask(f"SIZE {photo_id}.jpg").startswith("550")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("text", b"This is no photo.\n" * 100, "does not begin like a JPEG"),
        ("zeros", bytes(5000), "does not begin like a JPEG"),
        ("PNG", b"\x89PNG\r\n\x1a\n" + bytes(5000), "does not begin like a JPEG"),
    ],
)
def test_a_file_that_is_no_jpeg(house, photo_id, name, data, why):
    """Whatever is called .jpg and is none is refused in words, with its hash right and without one."""
    camera = house.camera()
    for said in (True, False):
        reply = camera.put(f"STOR {photo_id}.jpg", data, said=said)
        assert reply.startswith("550"), name
        assert why in reply
    assert house.rows() == []
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 0"


def test_a_jpeg_cut_behind_its_thumbnail(house, draw_photo, add_thumbnail, jpeg, photo_id):
    """A photo that ends right after its EXIF thumbnail's end marker ends in FF D9, and is no photo all the same."""
    thumbnail = draw_photo(80, 60, quality=40)
    whole = add_thumbnail(jpeg, thumbnail)
    cut = whole[: whole.index(thumbnail) + len(thumbnail)]
    assert cut.endswith(b"\xff\xd9")
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", cut, said=False).startswith("426")
    assert house.rows() == []
    camera.ask(f"REST {len(cut)}")
    assert camera.put_part(f"STOR {photo_id}.jpg", whole[len(cut) :]).startswith("226")
    assert house.stored("front-door", photo_id) == whole


def test_a_wrong_hash_is_refused(house, jpeg, photo_id):
    """Bytes that are not those of SITE SHA256: 550, set aside, SIZE 0."""
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg, sha256="0" * 64).startswith("550")
    assert camera.ask(f"SIZE {photo_id}.jpg") == "213 0"
    assert camera.ask("SITE SHA256 0123").startswith("501")
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_more_bytes_than_announced(house, jpeg, photo_id):
    camera = house.camera()
    camera.ask(f"ALLO {len(jpeg)}")
    assert camera.put_part(f"STOR {photo_id}.jpg", jpeg + b"\0").startswith("550")
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_what_was_said_counts_once(house, jpeg, other_jpeg):
    """SITE SHA256 and ALLO belong to the next upload alone."""
    camera = house.camera()
    assert camera.put(f"STOR {new_photo_id()}.jpg", jpeg).startswith("226")
    assert camera.put(f"STOR {new_photo_id()}.jpg", other_jpeg, said=False).startswith("226")


def test_connections_are_limited(make_house):
    """Above the limits a connection is told 421; below them others work on."""
    house = make_house(max_connections=3, max_per_address=2)
    first, second = house.wire(), house.wire()
    assert house.wire().greeting.startswith("421")
    elsewhere = house.wire(source="127.0.0.2")
    assert elsewhere.greeting.startswith("220")
    assert house.wire(source="127.0.0.3").greeting.startswith("421")
    assert [wire.ask("NOOP")[:3] for wire in (first, second, elsewhere)] == ["200"] * 3


def test_data_connections_don_t_count_as_sessions(make_house, jpeg, photo_id):
    """With every session taken, each can still upload."""
    house = make_house(max_connections=2)
    house.camera("back-yard").data().close()
    assert house.camera().put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_silence_ends_a_session(make_house):
    wire = make_house(idle_s=1).wire()
    assert wire.reply().startswith("421")
    assert wire.socket.recv(1) == b""


def test_an_endless_command_line_and_endless_commands(house):
    """A line without end, or commands without end during an upload, cost the server no memory."""
    camera = house.camera()
    camera.socket.sendall(b"X" * 5000 + b"\r\n")
    assert camera.reply().startswith("500")
    busy = house.camera("back-yard")
    connection = busy.data()
    busy.ask(f"STOR {new_photo_id()}.jpg")
    busy.socket.sendall(b"NOOP\r\n" * 100)
    assert busy.lines.readline() == b""
    connection.close()


def test_passive_ports_and_masquerade(make_house, jpeg, photo_id):
    """Data ports come from the range, and PASV names the address that the world knows."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    camera = make_house(passive_ports=f"{port}-{port}", masquerade="192.0.2.7").camera()
    numbers = camera.ask("PASV").partition("(")[2].partition(")")[0].split(",")
    assert numbers[:4] == ["192", "0", "2", "7"]
    assert int(numbers[4]) * 256 + int(numbers[5]) == port
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_nodelay_on_control_and_data(house, monkeypatch):
    """TCP_NODELAY is set on every connection: a 226 never waits for an ACK."""
    camera = house.camera()
    connection = camera.data()
    camera.settle()
    (session,) = [session for session in house.server._shared.sessions if session.data_channel]
    for sock in (session.socket, session.data_channel.socket):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.close()


def test_a_port_in_use_is_told(house, tmp_path):
    server = FtpServer(
        settings=house.settings.model_copy(update={"port": house.server.port}),
        database=house.database,
        blobs=house.blobs,
        partial_dir=tmp_path / "partial-2",
    )
    with pytest.raises(FtpError, match="choose another port"):
        server.start()


def test_stop_answers_what_is_under_way(make_house, jpeg, photo_id):
    """Stopping while a photo is being committed still gives its 226; stopping twice does nothing more."""
    house = make_house()
    camera = house.camera()
    inner = house.blobs.adopt
    stopping = []

    def slow(arrivals):
        import threading

        stopping.append(threading.Thread(target=house.server.stop))
        stopping[0].start()
        return inner(arrivals)

    house.blobs.adopt = slow
    assert camera.put(f"STOR {photo_id}.jpg", jpeg, sha256=hashlib.sha256(jpeg).hexdigest()).startswith("226")
    stopping[0].join(10)
    house.blobs.adopt = inner
    house.server.stop()
    assert house.stored("front-door", photo_id) == jpeg


def test_out_of_descriptors(house, jpeg, photo_id):
    """When a connection can't be accepted for want of descriptors, the server takes a breath and goes on."""
    listener = house.server._listener
    accept = listener.accept

    def fail():
        listener.accept = accept
        raise OSError(errno.EMFILE, "Too many open files")

    listener.accept = fail
    assert house.camera().put(f"STOR {photo_id}.jpg", jpeg).startswith("226")


def test_nobody_comes_to_the_data_port(house, photo_id, monkeypatch):
    """A STOR whose data connection never comes is answered 425; without a STOR nothing is said."""
    monkeypatch.setattr("broker.ftp.data.PassiveListener.timeout", 0.1)
    camera = house.camera()
    camera.ask("EPSV")
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("150")
    assert camera.reply().startswith("425")
    camera.ask("EPSV")
    time.sleep(0.2)  # nothing to wait for: the point is that nothing comes
    assert camera.ask("NOOP").startswith("200")
    assert camera.ask(f"STOR {photo_id}.jpg").startswith("425")
