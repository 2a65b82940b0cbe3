"""What can be set, where it is read from, and what it is when nobody says.

Environment variables (`APERTURE_…`, `__` between levels) win over `aperture.toml`, which wins over the defaults.
Settings are read once, in `main`, and passed down; they are frozen, and secrets in them don't print.
"""

import difflib
import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from aperture.contract.messages import MAX_PHOTO_BYTES

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what it takes."""


class BrokerKind(StrEnum):
    """Which MQTT broker serves: `auto` takes mosquitto where it is installed, else nats-server."""

    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    NATS = "nats"
    EXTERNAL = "external"


class FtpTls(StrEnum):
    """Explicit FTPS (RFC 4217): not offered, offered, or demanded."""

    OFF = "off"
    ALLOW = "allow"
    REQUIRE = "require"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MqttSettings(_Section):
    """Where the MQTT broker is, and who runs it."""

    host: str = Field(default="0.0.0.0", description="Address to listen on, or, of an external broker, to connect to.")  # noqa: S104 - cameras live on the LAN
    port: Port = Field(default=1883, description="Port of MQTT; 0 takes any free one.")
    tls_port: Port | None = Field(default=None, description="Port of MQTT over TLS (8883 is usual); unset: none.")
    plain: bool = Field(
        default=True, description="Whether MQTT without TLS is open to the network; false: to this machine alone."
    )
    broker: BrokerKind = Field(default=BrokerKind.AUTO, description="auto, mosquitto, nats or external.")
    root: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")] = Field(
        default="aperture", description="The first level of every topic."
    )
    username: str = Field(default="bridge", description="The bridge's account on an external broker.")
    password: SecretStr | None = Field(default=None, description="Its password; needed for an external broker only.")

    @model_validator(mode="after")
    def _some_way_in(self) -> Self:
        if not self.plain and self.tls_port is None:
            raise ValueError("mqtt.plain is false, so cameras need mqtt.tls_port (8883 is usual)")
        return self

    @property
    def plain_host(self) -> str:
        """The address that MQTT without TLS listens on."""
        return self.host if self.plain else "127.0.0.1"


class FtpSettings(_Section):
    """The FTP server that cameras upload to."""

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - cameras live on the LAN
    port: Port = Field(default=2121, description="Port of the control connection; 0 takes any free one.")
    passive_ports: str | None = Field(
        default=None, description="Range of data ports, like 50000-50099; unset: any free one."
    )
    masquerade: str | None = Field(default=None, description="Address that PASV answers with, behind NAT.")
    tls: FtpTls = Field(default=FtpTls.OFF, description="Explicit FTPS: off, allow or require.")
    max_connections: Annotated[int, Field(ge=1)] = Field(default=512, description="Control connections at one time.")
    max_per_address: Annotated[int, Field(ge=1)] = Field(default=64, description="Control connections of one address.")
    max_logins: Annotated[int, Field(ge=1)] = Field(
        default=3, description="Wrong passwords before the connection is closed."
    )
    max_bytes: Annotated[int, Field(ge=1024, le=MAX_PHOTO_BYTES)] = Field(  # a manifest can't announce more
        default=MAX_PHOTO_BYTES, description="Size of the largest photo, bytes."
    )
    idle_s: Annotated[int, Field(ge=1)] = Field(
        default=300, description="Seconds of silence before a connection is closed."
    )
    partial_days: Annotated[int, Field(ge=1)] = Field(default=7, description="Days that an unfinished upload is kept.")

    @field_validator("passive_ports")
    @classmethod
    def _a_range(cls, value: str | None) -> str | None:
        if value is not None:
            low, dash, high = value.partition("-")
            if not (dash and low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) < 65536):  # noqa: PLR2004
                raise ValueError("must be a range of ports like 50000-50099")
        return value

    @property
    def passive_range(self) -> range | None:
        """The data ports, or None for any."""
        if self.passive_ports is None:
            return None
        low, _, high = self.passive_ports.partition("-")
        return range(int(low), int(high) + 1)


class ApiSettings(_Section):
    """The HTTP API."""

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - a home server is reached from the LAN
    port: Port = Field(default=8000, description="Port; 0 takes any free one.")
    public_url: str | None = Field(
        default=None, description="The address that the world reaches it at, for links in Discord."
    )


class DiscordSettings(_Section):
    """Where photos are posted."""

    webhook_url: SecretStr | None = Field(default=None, description="The webhook's URL, as Discord gives it.")
    api_base: str = Field(default="https://discord.com/api/v10", description="Where webhooks are called.")
    bot_token: SecretStr | None = Field(default=None, description="A bot's token, instead of a webhook.")
    channel_id: str | None = Field(default=None, description="The channel that the bot posts to.")
    channel_per_minute: Annotated[int, Field(ge=1)] = Field(default=30, description="Messages a minute and channel.")


class Settings(BaseSettings):
    """All settings. Build it with `load`."""

    model_config = SettingsConfigDict(
        env_prefix="APERTURE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(default=Path("data"), description="Folder of everything that is kept.")
    database_url: str | None = Field(default=None, description="Database; unset: a SQLite file in the data folder.")
    photos_url: str | None = Field(default=None, description="Where photos' bytes are kept; unset: in the data folder.")
    missing_after_s: Annotated[int, Field(ge=1)] = Field(
        default=120, description="Seconds that an announced photo's bytes may take before it counts as missing."
    )
    telemetry_days: Annotated[int, Field(ge=1)] = Field(default=30, description="Days that raw telemetry is kept.")
    mqtt: MqttSettings = MqttSettings()
    ftp: FtpSettings = FtpSettings()
    api: ApiSettings = ApiSettings()
    discord: DiscordSettings = DiscordSettings()

    @classmethod
    def load(cls, config: Path | None = None, **overrides: Any) -> "Settings":
        """Read `config` (or `aperture.toml` where there is one) and the environment; `overrides` win over both.

        Raises:
            SettingsError: a file is missing or not TOML, or a setting is unknown or has a wrong value.
        """
        if config is not None and not config.is_file():
            raise SettingsError(f"there is no settings file {config}")
        file = config or Path("aperture.toml")

        check_environment(os.environ, cls)

        class FromFile(cls):
            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,
                file_secret_settings: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                del dotenv_settings, file_secret_settings
                return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

        try:
            return FromFile(**overrides)
        except ValidationError as error:
            raise SettingsError("settings: " + "; ".join(map(_sentence, error.errors()))) from None
        except ValueError as error:  # not TOML, or an environment variable that is no JSON where a section is meant
            raise SettingsError(f"settings: {error}") from None

    @model_validator(mode="after")
    def _only_what_is_built(self) -> Self:
        """Refuse what this version would silently ignore."""
        for name, is_set in {
            "photos_url": self.photos_url is not None,
            "discord.bot_token": self.discord.bot_token is not None,
            "discord.channel_id": self.discord.channel_id is not None,
        }.items():
            if is_set:
                raise ValueError(f"{name} is not supported by this version: leave it unset")
        return self

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'aperture.db'}"

    @property
    def firmware_dir(self) -> Path:
        """The folder of the firmware that cameras may fetch."""
        return self.data_dir / "firmware"

    @property
    def photos_dir(self) -> Path:
        """The folder of photos, when they are kept in files."""
        return self.data_dir / "photos"


def _sentence(item: ErrorDetails) -> str:
    where = ".".join(str(part) for part in item["loc"])
    return f"{where}: {item['msg']}".removeprefix(": ").replace("Value error, ", "")


OTHER_VARIABLES = frozenset({"APERTURE_CAMERA_TOKEN", "APERTURE_WIFI_PASSWORD"})
"""What the `aperture` command reads from the environment beside settings."""


def variables(model: type[BaseModel], prefix: str = "APERTURE_") -> list[str]:
    """Return the names of the environment variables that set something."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            names += variables(section, f"{prefix}{name.upper()}__")
        else:
            names.append(f"{prefix}{name.upper()}")
    return names


def check_environment(environment: Iterable[str], model: type[BaseModel]) -> None:
    """Refuse variables that look like settings and are none: a typo would be ignored without a word.

    Raises:
        SettingsError: with the nearest name that there is.
    """
    known = variables(model)
    for name in environment:
        if name.startswith("APERTURE_") and name.upper() not in known and name not in OTHER_VARIABLES:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; aperture config show lists them"
            raise SettingsError(f"settings: there is no {name}{hint}")
