"""Bundles of firmware over FTP: a signature for each camera by its own key, and no way to read another's."""

import ftplib
import hmac
import json
import os

import pytest

from aperture.store import accounts

MANIFEST = {
    "format": 1,
    "version": "0.3.0+abcd1234",
    "mpy": "6.3",
    "boards": ["sim"],
    "files": [{"path": "aa/app.mpy", "bytes": 3, "sha256": "a" * 64}],
}


def lay(house, name, **more):
    """Put a bundle there, and return the bytes of its bundle.json."""
    folder = house.firmware_dir / name
    folder.mkdir()
    body = json.dumps(MANIFEST | more).encode()
    (folder / "bundle.json").write_bytes(body)
    return body


def fetch(client, path):
    parts = []
    client.retrbinary(f"RETR {path}", parts.append)
    return b"".join(parts)


def signature(house, camera, body):
    key = house.database.read(lambda one: accounts.update_key(one, camera))
    return hmac.digest(bytes.fromhex(key), body, "sha256").hex().encode() + b"\n"


def test_each_camera_gets_a_signature_by_its_own_key(house):
    """HMAC-SHA256 over the very bytes of bundle.json, as they are now; the key itself is nowhere in it."""
    body = lay(house, "one")
    for name in ("front-door", "back-yard"):
        client = house.ftplib(name)
        assert fetch(client, "/firmware/one/bundle.json") == body
        assert fetch(client, "/firmware/one/bundle.sig") == signature(house, name, body)
        (house.firmware_dir / "one/bundle.json").write_bytes(body := body + b" ")
        assert fetch(client, "/firmware/one/bundle.sig") == signature(house, name, body)
        client.close()


def test_a_signature_on_the_disk_is_never_believed(house):
    """A file of that name is not what is sent."""
    lay(house, "one")
    (house.firmware_dir / "one/bundle.sig").write_text("forged")
    client = house.ftplib("front-door")
    assert b"forged" not in fetch(client, "/firmware/one/bundle.sig")
    client.close()


def test_without_a_key_or_a_bundle_there_is_no_signature(house):
    """550, also for a bundle that is not there and for paths that lead out."""
    lay(house, "one")
    client = house.ftplib("front-door")
    house.database.write(lambda one: one.exec_driver_sql("UPDATE camera SET update_key = NULL"))
    for path in ("/firmware/one/bundle.sig", "/firmware/two/bundle.sig", "/firmware/../bundle.sig", "/bundle.sig"):
        with pytest.raises(ftplib.error_perm, match="550"):
            fetch(client, path)
    client.close()


def test_a_foreign_camera_reads_no_firmware(house):
    """It has no key, and no folder."""
    lay(house, "one")
    client = house.ftplib("dslr", ftp_only=True)
    for name in ("bundle.json", "bundle.sig"):
        with pytest.raises(ftplib.error_perm, match="550"):
            fetch(client, f"/firmware/one/{name}")
    client.close()


def test_newest_is_the_bundle_that_was_built_last(house):
    """For a camera that was not told which. What is no bundle is passed over."""
    client = house.ftplib("front-door")
    with pytest.raises(ftplib.error_perm, match="550"):
        fetch(client, "/firmware/newest/bundle.json")
    old, new = lay(house, "zz-old", version="1"), lay(house, "aa-new", version="2")
    lay(house, "broken", format=2)
    os.utime(house.firmware_dir / "zz-old/bundle.json", (1, 1))
    assert fetch(client, "/firmware/newest/bundle.json") == new
    assert fetch(client, "/firmware/newest/bundle.sig") == signature(house, "front-door", new)
    os.utime(house.firmware_dir / "aa-new/bundle.json", (0, 0))
    assert fetch(client, "/firmware/newest/bundle.json") == old
    client.close()
