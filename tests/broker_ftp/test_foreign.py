"""Cameras that only speak FTP: they do as they are used to, and each of their JPEGs becomes a photo."""

import ftplib
import io

import pytest

from aperture.clock import now_ms
from aperture.contract.ids import is_photo_id


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """All of this holds over TLS, too."""
    return request.param


@pytest.fixture
def camera(house):
    return house.camera("garage", ftp_only=True)


@pytest.fixture
def client(house):
    client = house.ftplib("garage", ftp_only=True)
    yield client
    client.close()


def names(house):
    return [row.name for row in house.rows()]


def test_each_jpeg_becomes_a_photo(house, camera, jpeg, other_jpeg):
    """Any name, any folder: an id of ours, origin ftp, the camera's own name kept."""
    assert camera.put("STOR 2026/11/22/IMG_0001.JPG", jpeg, said=False).startswith("226")
    assert camera.put("STOR IMG_0001.JPG", other_jpeg, said=False).startswith("226")
    first, second = house.rows()
    assert (first.name, second.name) == ("2026/11/22/IMG_0001.JPG", "IMG_0001.JPG")
    assert is_photo_id(first.id)
    assert {row.origin for row in house.rows()} == {"ftp"}
    assert [house.stored("garage", row.id) for row in (first, second)] == [jpeg, other_jpeg]
    assert house.events() == ["photo.stored"] * 2


def test_the_same_again_is_the_same_photo(house, camera, jpeg, other_jpeg):
    """A lost 226: the same name and bytes within a day are the same photo. Another name, or other bytes, are not."""
    for _ in range(3):
        assert camera.put("STOR a.jpg", jpeg, said=False).startswith("226")
    assert len(house.rows()) == 1
    assert house.events() == ["photo.stored"]
    assert camera.put("STOR b.jpg", jpeg, said=False).startswith("226")
    assert camera.put("STOR a.jpg", other_jpeg, said=False).startswith("226")
    assert names(house) == ["a.jpg", "b.jpg", "a.jpg"]
    assert house.camera("shed", ftp_only=True).put("STOR a.jpg", jpeg, said=False).startswith("226")
    assert len(house.rows()) == 4
    assert not list(house.partial_dir.glob("*/*"))


def test_the_same_again_after_a_day_is_another_photo(house, camera, jpeg, monkeypatch):
    camera.put("STOR a.jpg", jpeg, said=False)
    later_ms = now_ms() + 86_401_000
    monkeypatch.setattr("broker.ftp.batch.now_ms", lambda: later_ms)
    camera.put("STOR a.jpg", jpeg, said=False)
    assert names(house) == ["a.jpg", "a.jpg"]


def test_upload_under_a_temporary_name(house, client, jpeg):
    """`x.jpg.tmp`, then a rename: the photo is stored at the 226, and the rename is answered as it should be."""
    client.storbinary("STOR x.jpg.tmp", io.BytesIO(jpeg))
    assert len(house.rows()) == 1
    client.rename("x.jpg.tmp", "x.jpg")
    assert client.size("x.jpg") == len(jpeg)
    with pytest.raises(ftplib.error_perm, match="550"):
        client.size("x.jpg.tmp")
    assert len(house.rows()) == 1


def test_test_button(house, client):
    """What cameras do when one presses "Test": a small file goes up, and is deleted. No photo comes of it."""
    client.mkd("test")
    client.cwd("test")
    client.storbinary("STOR test.txt", io.BytesIO(b"This is a test file."))
    client.delete("test.txt")
    client.storbinary("STOR empty.txt", io.BytesIO(b""))
    client.delete("empty.txt")
    client.cwd("/")
    client.rmd("test")
    assert house.rows() == []
    assert not list(house.partial_dir.glob("*/*"))


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_a_cut_photo_is_no_test_file(house, camera, jpeg, length):
    """The first bytes of a photo under a temporary name are not taken for a test: no 226."""
    assert camera.put_part("STOR upload.tmp", jpeg[:length]).startswith("426")
    camera.ask(f"REST {length}")
    assert camera.put_part("STOR upload.tmp", jpeg[length:]).startswith("226")
    assert len(house.rows()) == 1


def test_what_is_no_jpeg_is_refused(house, camera):
    """A text called .jpg, or anything large that is no JPEG: 550, in words."""
    assert camera.put("STOR a.jpg", b"text" * 100, said=False).startswith("550")
    assert camera.put("STOR clip.mp4", bytes(200_000), said=False).startswith("550")
    assert house.rows() == []


def test_only_this_session_s_files(house, camera, jpeg, client):
    """Renaming and deleting reach what this session uploaded and nothing else; a photo outlives its deletion."""
    camera.put("STOR a.jpg", jpeg, said=False)
    for act in (lambda: client.delete("a.jpg"), lambda: client.rename("a.jpg", "b.jpg"), lambda: client.size("a.jpg")):
        with pytest.raises(ftplib.error_perm, match="550"):
            act()
    with pytest.raises(ftplib.error_perm):
        client.retrbinary("RETR a.jpg", lambda _: None)
    assert camera.ask("DELE a.jpg").startswith("250")
    assert camera.ask("DELE a.jpg").startswith("550")
    (row,) = house.rows()
    assert house.stored("garage", row.id) == jpeg


def test_lists_are_empty(house, camera, client, jpeg):
    camera.put("STOR a.jpg", jpeg, said=False)
    lines: list[str] = []
    client.retrlines("LIST", lines.append)
    client.retrlines("LIST -la", lines.append)
    assert [*lines, *client.nlst(), *client.mlsd()] == []


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("how", ["REST", "APPE"])
def test_a_cut_upload_resumes(house, camera, jpeg, reset, how):
    """No 226 and no photo for a part; SIZE tells it, and the rest makes it a photo, in another session too."""
    half = len(jpeg) // 2
    assert camera.put_part("STOR day/a.jpg", jpeg[:half], reset=reset)[0] == "4"
    assert house.rows() == []
    again = house.camera("garage")
    again.ask("CWD day")
    assert again.ask("SIZE a.jpg") == f"213 {half}"
    if how == "REST":
        again.ask(f"REST {half}")
    assert again.put_part(f"{'STOR' if how == 'REST' else 'APPE'} a.jpg", jpeg[half:]).startswith("226")
    (row,) = house.rows()
    assert house.stored("garage", row.id) == jpeg
    assert row.name == "day/a.jpg"


def test_accounts_don_t_share_partials(house, camera, jpeg):
    """The same name in two accounts is two files."""
    camera.put_part("STOR a.jpg", jpeg[:1000])
    assert house.camera("shed", ftp_only=True).ask("SIZE a.jpg").startswith("550")


def test_ascii_mode_changes_no_byte(house, camera, jpeg):
    """A camera that never sends TYPE I, or sends TYPE A, does not have its photos mangled."""
    assert camera.ask("TYPE A").startswith("200")
    text = jpeg[:-2] + b"\xff\xfe\0\x0a\r\na\r\nb\r\n" + jpeg[-2:]
    assert camera.put("STOR a.jpg", text, said=False).startswith("226")
    assert house.stored("garage", house.rows()[0].id) == text


def test_odd_names(house, camera, jpeg):
    """Names leave the account's make-believe root by no trick, and never touch a real path."""
    for name in ("../../etc/passwd.jpg", "/photos/garage/x.jpg", "ünï cödé.jpg", "a;rm -rf.jpg", "..jpg"):
        assert camera.put(f"STOR {name}", jpeg, said=False).startswith("226"), name
    assert camera.put("STOR a\tb.jpg", jpeg, said=False).startswith("553")
    assert "etc/passwd.jpg" in names(house)
    assert {path.parent.name for path in house.root.glob("photos/*/*")} == {"garage"}
