from pathlib import Path

import pytest
from pydantic import ValidationError

from aperture.contract.messages import MAX_PHOTO_BYTES
from aperture.settings import BrokerKind, Settings, SettingsError

FIXED = [
    "APERTURE_DATA_DIR", "APERTURE_DATABASE_URL", "APERTURE_PHOTOS_URL", "APERTURE_MQTT__HOST", "APERTURE_MQTT__PORT",
    "APERTURE_MQTT__TLS_PORT", "APERTURE_MQTT__BROKER", "APERTURE_FTP__HOST", "APERTURE_FTP__PORT",
    "APERTURE_FTP__PASSIVE_PORTS", "APERTURE_FTP__MASQUERADE", "APERTURE_FTP__TLS", "APERTURE_API__HOST",
    "APERTURE_API__PORT", "APERTURE_API__PUBLIC_URL", "APERTURE_DISCORD__WEBHOOK_URL", "APERTURE_DISCORD__API_BASE",
    "APERTURE_DISCORD__BOT_TOKEN", "APERTURE_DISCORD__CHANNEL_ID",
]  # fmt: skip
"""Others' scripts set these: a name that goes is a break."""

LATER = {"APERTURE_PHOTOS_URL", "APERTURE_DISCORD__BOT_TOKEN", "APERTURE_DISCORD__CHANNEL_ID"}
"""Known, and refused rather than silently without effect."""


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in FIXED:
        monkeypatch.delenv(name, raising=False)


def test_defaults_need_no_file():
    settings = Settings.load()
    assert settings.database == "sqlite:///data/aperture.db"
    assert settings.photos_dir == Path("data/photos")
    assert (settings.mqtt.port, settings.ftp.port, settings.api.port) == (1883, 2121, 8000)
    assert settings.mqtt.broker is BrokerKind.AUTO
    assert settings.discord.webhook_url is None


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path, monkeypatch):
    """Also one field of a section: the others of that section stay the file's."""
    (tmp_path / "aperture.toml").write_text('data_dir = "kept"\n[mqtt]\nport = 1\nroot = "home"\n')
    monkeypatch.setenv("APERTURE_MQTT__PORT", "2")
    settings = Settings.load()
    assert (settings.data_dir, settings.mqtt.port, settings.mqtt.root) == (Path("kept"), 2, "home")
    assert Settings.load(data_dir=Path("given")).data_dir == Path("given")


@pytest.mark.parametrize("name", FIXED)
def test_the_fixed_names_all_work(name, monkeypatch):
    default = Settings.load().model_dump()
    value = {"PORT": "4711", "TLS_PORT": "4712", "BROKER": "nats", "PASSIVE_PORTS": "5000-5001", "TLS": "require"}
    monkeypatch.setenv(name, value.get(name.rpartition("__")[2], "x"))
    if name in LATER:
        with pytest.raises(SettingsError, match="not supported by this version"):
            Settings.load()
    else:
        changed = Settings.load().model_dump()
        parts = name.removeprefix("APERTURE_").lower().split("__")
        for part in parts:
            default, changed = default[part], changed[part]
        assert changed not in {default, None}


def test_a_typo_in_a_variable_s_name_is_told(monkeypatch):
    """pydantic would ignore it, and the server run with a default that nobody wanted."""
    monkeypatch.setenv("APERTURE_DATA_DIRR", "x")
    with pytest.raises(SettingsError, match="APERTURE_DATA_DIR"):
        Settings.load()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mqtt = 3", "mqtt"), ("[mqtt]\nport = 65536", "mqtt.port"), ("[mqtt]\nport = -1", "mqtt.port"),
        ('[mqtt]\nbroker = "emqx"', "mqtt.broker"), ('[mqtt]\nroot = "a/b"', "mqtt.root"), ("[mqtt]\nprot = 1", "mqtt.prot"),
        ("unknown = 1", "unknown"), ('[ftp]\npassive_ports = "9-1"', "50000-50099"),
        ('[ftp]\npassive_ports = "1-70000"', "50000-50099"), ('[ftp]\ntls = "maybe"', "ftp.tls"), ("not toml", "settings:"),
        ("telemetry_days = 0", "telemetry_days"), ("[mqtt]\nplain = false", "mqtt.tls_port"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, text, words):
    (tmp_path / "aperture.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        Settings.load()


def test_a_file_that_was_asked_for_must_be_there(tmp_path):
    with pytest.raises(SettingsError, match=r"other\.toml"):
        Settings.load(tmp_path / "other.toml")
    (tmp_path / "other.toml").write_text("[api]\nport = 9")
    assert Settings.load(tmp_path / "other.toml").api.port == 9


def test_secrets_do_not_print(monkeypatch):
    """Neither as they are, nor in an error about something else."""
    monkeypatch.setenv("APERTURE_DISCORD__WEBHOOK_URL", "https://discord.com/api/webhooks/1/my-secret")
    monkeypatch.setenv("APERTURE_MQTT__PASSWORD", "my-secret")
    settings = Settings.load()
    assert "my-secret" not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.get_secret_value() == "my-secret"
    monkeypatch.setenv("APERTURE_MQTT__PORT", "x")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert "my-secret" not in str(caught.value)


def test_settings_are_frozen():
    settings = Settings.load()
    with pytest.raises(ValidationError):
        settings.data_dir = Path("other")
    with pytest.raises(ValidationError):
        settings.mqtt.port = 1


def test_the_passive_range_includes_both_ends(monkeypatch):
    assert Settings.load().ftp.passive_range is None
    monkeypatch.setenv("APERTURE_FTP__PASSIVE_PORTS", "50000-50002")
    ftp = Settings.load().ftp
    assert list(ftp.passive_range or []) == [50000, 50001, 50002]


def test_every_setting_says_what_it_is():
    for name, field in Settings.model_fields.items():
        section = field.annotation
        fields = getattr(section, "model_fields", {name: field})
        for inner, one in fields.items():
            assert one.description, f"{name}.{inner}"


def test_no_photo_is_larger_than_what_a_manifest_can_announce(monkeypatch):
    """Else a larger one would be taken, and its manifest refused."""
    monkeypatch.setenv("APERTURE_FTP__MAX_BYTES", str(MAX_PHOTO_BYTES))
    assert Settings.load().ftp.max_bytes == MAX_PHOTO_BYTES
    monkeypatch.setenv("APERTURE_FTP__MAX_BYTES", str(MAX_PHOTO_BYTES + 1))
    with pytest.raises(SettingsError, match=r"ftp\.max_bytes"):
        Settings.load()
