"""A data folder, for commands that act on it whether or not anything runs there."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aperture.settings import BrokerKind, FtpTls, Settings
from aperture.store.database import Database
from aperture.tls.files import TlsFiles
from cli import runfile

T = TypeVar("T")


class Place:
    """The store of a data folder, and where what runs on it is reached. A context manager."""

    def __init__(self, settings: Settings) -> None:
        """Open the store (and make it, the first time)."""
        self.settings = settings
        self.database = Database.open(settings.database)
        self.running = runfile.read(settings.data_dir)

    def mqtt(self) -> dict[str, Any]:
        """Return where a camera or a program finds the broker: `host`, `port`, `root`.

        `tls_port` is there where TLS is; `plain` is false where `port` is for this machine alone.
        """
        settings = self.settings.mqtt
        found: dict[str, Any] = {
            "host": runfile.reachable(self._of("mqtt", "bound", settings.host)),
            "port": self._of("mqtt", "port", settings.port),
            "root": settings.root,
        }
        if settings.broker is BrokerKind.EXTERNAL:
            found["host"] = settings.host
        if settings.tls_port is not None:
            found |= {"tls_port": self._of("mqtt", "tls_port", settings.tls_port), "plain": settings.plain}
        return found

    def ftp(self) -> dict[str, Any]:
        """Return where a camera uploads to: `host`, `port`, and `tls`: off, allow or require."""
        settings = self.settings.ftp
        return {
            "host": settings.masquerade or runfile.reachable(self._of("ftp", "bound", settings.host)),
            "port": self._of("ftp", "port", settings.port),
            "tls": settings.tls.value,
        }

    def mqtt_facts(self) -> dict[str, Any]:
        """Return the same for people."""
        where = self.mqtt()
        facts = {"MQTT": f"{where['host']}:{where['port']}, topics below {where['root']}/"}
        if "tls_port" in where:
            if not where["plain"]:
                facts = {"MQTT": f"over TLS alone, topics below {where['root']}/"}
            facts["MQTT, TLS"] = f"{where['host']}:{where['tls_port']}"
        return facts

    @property
    def tls(self) -> frozenset[str]:
        """See `tls_links`."""
        return tls_links(self.settings)

    @property
    def ca_der(self) -> Path | None:
        """What a camera needs to trust this server, where TLS is on and our broker and FTP server are what it meets."""
        return TlsFiles.of(self.settings.data_dir).ca_der if self.tls else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def _of(self, part: str, name: str, configured: T) -> T:
        """Return what holds for what runs here now, else what is configured."""
        running: dict[str, Any] = (self.running or {}).get(part) or {}
        return running.get(name, configured)


def tls_links(settings: Settings) -> frozenset[str]:
    """Return which of a camera's links, `mqtt` and `ftp`, can use TLS."""
    links = {"mqtt": settings.mqtt.tls_port is not None, "ftp": settings.ftp.tls is not FtpTls.OFF}
    return frozenset(link for link, can in links.items() if can)
