"""The firmware's FTP client against stock pyftpdlib, a foreign server that knows no SITE SHA256."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1] / "simulator" / "stock_ftp.py"


@pytest.fixture
def ftp_root(tmp_path: Path) -> Path:
    root = tmp_path / "uploads"
    root.mkdir()
    return root


@pytest.fixture
def ftp_port(ftp_root: Path) -> Iterator[int]:
    """Stock pyftpdlib on a free port, with the account cam:secret."""
    command = [sys.executable, "-W", "ignore", str(SERVER), str(ftp_root), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Bytes of a photo's size; this server does not look into them."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(150_000))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_photos_arrive_byte_for_byte_over_one_session(run_case, ftp_port, ftp_root, photo):
    """Three in a row over one control connection, each complete when `store` returns."""
    run_case("cases_ftp_server", "three_photos_over_one_session", ftp_port, photo, digest(photo))
    assert [path.read_bytes() == photo.read_bytes() for path in sorted(ftp_root.iterdir())] == [True] * 3


def test_a_partial_upload_is_resumed_byte_for_byte(run_case, ftp_port, ftp_root, photo):
    """What a broken connection left is kept; only the rest is sent."""
    (ftp_root / "p0.jpg").write_bytes(photo.read_bytes()[:70_001])
    run_case("cases_ftp_server", "the_rest_of_a_photo", ftp_port, photo, digest(photo))
    assert (ftp_root / "p0.jpg").read_bytes() == photo.read_bytes()


def test_a_wrong_password_is_a_refusal(run_case, ftp_port):
    """The camera learns the code, and is not left with half a session."""
    run_case("cases_ftp_server", "a_wrong_password", ftp_port)
