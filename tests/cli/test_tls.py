"""`aperture tls init`, and what other commands say about TLS."""

import json
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

TLS_ON = {"APERTURE_MQTT__TLS_PORT": "8883", "APERTURE_FTP__TLS": "allow"}
LOOPBACK = {"APERTURE_MQTT__HOST": "127.0.0.1", "APERTURE_FTP__HOST": "127.0.0.1"}


@pytest.fixture
def aperture(aperture):
    """The same, with all that it printed."""
    return partial(aperture, both=True)


def test_init_says_what_was_made_and_what_to_do(aperture, tmp_path):
    """Names of this machine, of the settings and those asked for; then what to turn on, and what cameras need."""
    said = aperture(
        "tls", "init", "--host", "cam.example.org", "10.0.0.7", APERTURE_FTP__MASQUERADE="203.0.113.9"
    )  # fmt: skip
    for words in ("localhost", "127.0.0.1", "cam.example.org", "10.0.0.7", "203.0.113.9"):
        assert words in said
    assert "each camera" in said
    assert "APERTURE_MQTT__TLS_PORT=8883" in said
    (certificate, _) = x509.load_pem_x509_certificates((tmp_path / "data/tls/server.pem").read_bytes())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "cam.example.org" in held.get_values_for_type(x509.DNSName)
    assert {"10.0.0.7", "203.0.113.9"} <= {str(address) for address in held.get_values_for_type(x509.IPAddress)}


def test_again_and_by_force(aperture, tmp_path):
    """The CA stays, and goes only when that is asked for; then it says what that means for the cameras."""
    ca = tmp_path / "data/tls/ca.der"
    made = json.loads(aperture("tls", "init", "--json", "--days", "90"))
    assert made["new_ca"]
    assert Path(made["ca_der"]).name == "ca.der"
    first = ca.read_bytes()
    assert "go on trusting" in aperture("tls", "init", "--host", "cam.example.org", **TLS_ON)
    assert ca.read_bytes() == first
    again = json.loads(aperture("tls", "init", "--json"))
    assert not again["new_ca"]
    assert "cam.example.org" in again["names"]
    assert "The CA is new: each camera" in aperture("tls", "init", "--force")
    assert ca.read_bytes() != first


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--host", "a b"], 1, "neither a host's name nor an address"),
        (["--days", "0"], 2, "a number of days"),
        (["--days", "many"], 2, "a number of days"),
    ],
)
def test_what_can_not_be_is_said(aperture, tmp_path, arguments, status, words):
    assert words in aperture("tls", "init", *arguments, status=status)
    assert not (tmp_path / "data" / "tls").exists()


def test_a_ca_that_is_not_whole_is_said(aperture, tmp_path):
    aperture("tls", "init")
    (tmp_path / "data/tls/ca.key").unlink()
    assert "--force" in aperture("tls", "init", status=1)


def test_camera_add_tells_what_a_camera_needs(aperture, tmp_path):
    """Ports, whether there is a way without TLS, and where the CA is."""
    added = json.loads(aperture("camera", "add", "front", "--json", **TLS_ON))
    assert (added["mqtt"]["tls_port"], added["mqtt"]["plain"], added["ftp"]["tls"]) == (8883, True, "allow")
    assert added["ca_der"] == str(tmp_path / "data/tls/ca.der")
    closed = {**TLS_ON, "APERTURE_FTP__TLS": "require", "APERTURE_MQTT__PLAIN": "false"}
    said = aperture("camera", "rotate", "front", **closed)
    for words in (":8883", "over TLS alone", "require", "ca.der"):
        assert words in said
    assert ":1883" not in said
    plain = json.loads(aperture("camera", "add", "porch", "--json"))
    assert "tls_port" not in plain["mqtt"]
    assert plain["ftp"]["tls"] == "off"
    assert "ca_der" not in plain


def findings(said: str) -> dict[str, tuple[str, str]]:
    return {one["check"]: (one["verdict"], f"{one['detail']} {one['todo']}") for one in json.loads(said)}


def test_doctor_on_tls(aperture, tmp_path):
    """Nothing where it is off; then what is missing, what it holds for, that it ends soon, and for whom it does not hold."""
    ports = {"APERTURE_MQTT__PORT": "0", "APERTURE_FTP__PORT": "0", "APERTURE_API__PORT": "0"}
    here = {**TLS_ON, **LOOPBACK, **ports}
    assert "TLS" not in findings(aperture("doctor", "--json", **ports))
    missing = findings(aperture("doctor", "--json", status=1, **here))["TLS"]
    assert missing[0] == "wrong"
    assert "aperture tls init" in missing[1]
    aperture("tls", "init")
    assert findings(aperture("doctor", "--json", **ports))["TLS"][0] == "hint"
    assert findings(aperture("doctor", "--json", **here))["TLS"][0] == "ok"
    elsewhere = findings(aperture("doctor", "--json", status=1, **{**here, "APERTURE_FTP__MASQUERADE": "203.0.113.9"}))
    assert "203.0.113.9" in elsewhere["TLS"][1]
    aperture("tls", "init", "--days", "31")
    assert findings(aperture("doctor", "--json", **here))["TLS"][0] == "ok"
    aperture("tls", "init", "--days", "29")
    soon = findings(aperture("doctor", "--json", **here))["TLS"]
    assert soon[0] == "hint"
    assert "28 days" in soon[1]
    (tmp_path / "data/tls/server.key").write_text("hello")
    assert findings(aperture("doctor", "--json", status=1, **here))["TLS"][0] == "wrong"


@pytest.mark.parametrize("part", ["up", "broker"])
@pytest.mark.parametrize("setting", ["APERTURE_MQTT__TLS_PORT", "APERTURE_FTP__TLS"])
def test_up_does_not_start_without_a_certificate(aperture, part, setting):
    """It says in a sentence what to run."""
    ports = {f"APERTURE_{name}__PORT": "0" for name in ("MQTT", "FTP", "API")} | LOOPBACK
    value = "0" if setting.endswith("PORT") else "require"
    said = aperture(part, status=1, **ports, **{setting: value})
    assert "aperture tls init" in said
    assert "Traceback" not in said
