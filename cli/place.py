"""A data folder, for commands that act on it whether or not anything runs there."""

from types import TracebackType
from typing import Any, Self

from aperture.settings import BrokerKind, Settings
from aperture.store.database import Database
from cli import runfile


class Place:
    """The store of a data folder, and where what runs on it is reached. A context manager."""

    def __init__(self, settings: Settings) -> None:
        """Open the store (and make it, the first time)."""
        self.settings = settings
        self.database = Database.open(settings.database)
        self.running = runfile.read(settings.data_dir)

    def mqtt(self) -> dict[str, Any]:
        """Return where a camera or a program finds the broker: `host`, `port`, `root`, and `tls_port` if any."""
        settings = self.settings.mqtt
        found = {"host": runfile.reachable(settings.host), "port": self._port("mqtt", settings.port)}
        if settings.broker is BrokerKind.EXTERNAL:
            found["host"] = settings.host
        tls = {} if settings.tls_port is None else {"tls_port": settings.tls_port}
        return {**found, "root": settings.root, **tls}

    def ftp(self) -> dict[str, Any]:
        """Return where a camera uploads to: `host` and `port`."""
        settings = self.settings.ftp
        return {
            "host": settings.masquerade or runfile.reachable(settings.host),
            "port": self._port("ftp", settings.port),
        }

    def mqtt_facts(self) -> dict[str, Any]:
        """Return the same in a line for people."""
        where = self.mqtt()
        return {"MQTT": f"{where['host']}:{where['port']}, topics below {where['root']}/"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def _port(self, part: str, configured: int) -> int:
        running: dict[str, Any] = (self.running or {}).get(part) or {}
        return running.get("port", configured)
