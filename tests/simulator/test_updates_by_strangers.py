"""Somebody else's FTP server, or one who changes what is on its way: nothing is booted that the owner did not sign."""

import hashlib
import hmac
import json

import pytest

from simulator.bundle import build
from simulator.camera import Power

pytestmark = pytest.mark.timeout(180)

KEY = "c3" * 32


@pytest.fixture
def bundle(uploads):
    """A bundle on a stock FTP server, with its signature in a file."""
    built = build(uploads / "firmware", version="7.0.0", compiled=False)
    sign(built, KEY)
    return built


def sign(bundle, key):
    signature = hmac.digest(bytes.fromhex(key), (bundle.folder / "bundle.json").read_bytes(), "sha256").hex()
    (bundle.folder / "bundle.sig").write_text(signature + "\n")


@pytest.fixture
async def camera(make_camera, ears):
    camera = await make_camera(update_key=KEY)
    await ears.hears_presence(b"online")
    return camera


async def outcome(ears):
    """Return the last word on the update."""
    await ears.command("c1", "update", bundle="7.0.0")
    heard = 0
    while True:
        heard = len(await ears.hears("reply", heard + 1))
        final = [reply for reply in ears.objects("reply") if "ok" in reply]
        if final:
            return final[-1]


def active(camera):
    return json.loads((camera.folder / "flash/slots.json").read_text())["active"]


async def test_any_ftp_server_will_do_when_the_signature_is_right(camera, ears, bundle):
    """It is not the server that is trusted."""
    assert await outcome(ears) == {"command": "c1", "ok": True, "detail": "7.0.0"}
    assert active(camera) == "b"


def other_file(bundle):
    (bundle.folder / "aa/app.py").write_text("print('mine')\n")


def other_hash(bundle):
    """A file of one's own, and a bundle.json that goes with it."""
    other_file(bundle)
    manifest = json.loads((bundle.folder / "bundle.json").read_text())
    for file in manifest["files"]:
        if file["path"] == "aa/app.py":
            data = (bundle.folder / "aa/app.py").read_bytes()
            file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (bundle.folder / "bundle.json").write_text(json.dumps(manifest))


def other_key(bundle):
    """Signed all over again, by who has the key of another camera."""
    other_hash(bundle)
    sign(bundle, "c4" * 32)


def no_signature(bundle):
    other_hash(bundle)
    (bundle.folder / "bundle.sig").write_text("")


@pytest.mark.parametrize(
    ("tamper", "error"),
    [
        (other_file, "bad_bundle"),
        (other_hash, "bad_signature"),
        (other_key, "bad_signature"),
        (no_signature, "bad_signature"),
    ],
)
async def test_what_was_tampered_with_is_never_booted(camera, ears, bundle, tamper, error):
    """The camera says what is wrong, and goes on as it was."""
    tamper(bundle)
    reply = await outcome(ears)
    assert (reply["ok"], reply["error"]) == (False, error)
    assert (active(camera), camera.power) == ("a", Power.ON)
    assert not (camera.folder / "flash/b/bundle.json").exists()
    await camera.press()
    await ears.hears("shutter")
