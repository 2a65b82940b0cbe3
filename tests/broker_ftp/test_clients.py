"""Other people's FTP clients, as they come."""

import io
import shutil
import subprocess

import pytest

curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: apt-get install curl")
lftp = pytest.mark.skipif(shutil.which("lftp") is None, reason="lftp is missing: apt-get install lftp")


@pytest.fixture(params=["plain", "tls"])
def way(request):
    """In the clear, and over TLS that the server demands and the client verifies."""
    return request.param


@pytest.fixture
def garage(house):
    house.camera("garage", ftp_only=True)
    return house


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def run_curl(house, *options):
    trust = ("--ssl-reqd", "--cacert", str(house.tls_files.ca_pem)) if house.trust else ()
    return run("curl", "-sS", *trust, "-u", f"garage:{house.secrets['garage']}", *options)


def lftp_tls(house):
    """lftp's settings: TLS for commands and data, verified, or none at all."""
    if not house.trust:
        return "set ftp:ssl-allow no;"
    return (
        "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate yes;"
        f"set ssl:ca-file {house.tls_files.ca_pem};"
    )


@curl
def test_curl(garage, jpeg, tmp_path):
    """curl -T, with folders made on the way, and again: one photo."""
    file = tmp_path / "picture.jpg"
    file.write_bytes(jpeg)
    url = f"ftp://127.0.0.1:{garage.server.port}/a/b/picture.jpg"
    for _ in range(2):
        done = run_curl(garage, "--ftp-create-dirs", "-T", str(file), url)
        assert done.returncode == 0, done.stderr
    (row,) = garage.rows()
    assert row.name == "a/b/picture.jpg"
    assert garage.stored("garage", row.id) == jpeg


@curl
def test_curl_resumes(garage, jpeg, tmp_path):
    """curl -C - asks SIZE, and appends what is missing."""
    garage.camera("garage").put_part("STOR picture.jpg", jpeg[:5000])
    file = tmp_path / "picture.jpg"
    file.write_bytes(jpeg)
    url = f"ftp://127.0.0.1:{garage.server.port}/picture.jpg"
    done = run_curl(garage, "-C", "-", "-T", str(file), url)
    assert done.returncode == 0, done.stderr
    assert garage.stored("garage", garage.rows()[0].id) == jpeg


@curl
def test_curl_is_told_of_a_bad_file(garage, jpeg, tmp_path):
    """Half a JPEG fails in curl as well: it does not think that it has been stored."""
    file = tmp_path / "picture.jpg"
    file.write_bytes(jpeg[: len(jpeg) // 2])
    url = f"ftp://127.0.0.1:{garage.server.port}/picture.jpg"
    assert run_curl(garage, "-T", str(file), url).returncode != 0
    assert garage.rows() == []


@lftp
def test_lftp(garage, jpeg, other_jpeg, tmp_path):
    """lftp's put, into a folder and under a temporary name, and mput of two at once."""
    (tmp_path / "one.jpg").write_bytes(jpeg)
    (tmp_path / "two.jpg").write_bytes(other_jpeg)
    script = (
        f"set net:max-retries 1; set net:timeout 10; {lftp_tls(garage)}"
        f"open -u garage,{garage.secrets['garage']} -p {garage.server.port} 127.0.0.1;"
        f"mkdir day; cd day; lcd {tmp_path}; put one.jpg; set xfer:use-temp-file yes; put two.jpg; bye"
    )
    done = run("lftp", "-c", script)
    assert done.returncode == 0, done.stderr
    assert [garage.stored("garage", row.id) for row in garage.rows()] == [jpeg, other_jpeg]


def test_ftplib(garage, jpeg):
    """Python's ftplib: storbinary, and a resumed one."""
    client = garage.ftplib("garage")
    assert client.storbinary("STOR one.jpg", io.BytesIO(jpeg)).startswith("226")
    garage.camera("garage").put_part("STOR two.jpg", jpeg[:4000])
    assert client.size("two.jpg") == 4000
    assert client.storbinary("STOR two.jpg", io.BytesIO(jpeg[4000:]), rest=4000).startswith("226")
    assert "SITE SHA256" in client.sendcmd("FEAT")
    assert client.pwd() == "/"
    assert client.sendcmd("SYST").startswith("215")
    client.quit()
    assert len(garage.rows()) == 2
