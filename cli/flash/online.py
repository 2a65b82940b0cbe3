"""The end of it: the camera starts and says `online`; its serial log is read meanwhile.

What it says over MQTT is taken from the store, where the bridge puts it: then the whole way from there to here works.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import serial

from aperture.contract.messages import Presence
from aperture.settings import BrokerKind
from aperture.store import cameras
from aperture.store.cameras import Camera
from aperture.store.errors import NotFoundError
from cli import runfile
from cli.flash import port as serial_port
from cli.flash.errors import FlashError
from cli.place import Place

_LOOK_S: Final = 0.2
_STATUS_S: Final = 3.0  # a camera tells its telemetry right after it is online
_CONNECT_S: Final = 3.0
_MOST_LINES: Final = 2_000
_REOPEN_S: Final = 0.1


def check_server(place: Place) -> None:
    """Look whether there is a broker that the camera's word can come through.

    Raises:
        FlashError: none answers.
    """
    host, port = _broker(place)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError:
        raise FlashError(
            f"no server runs here (no MQTT broker answers at {host}:{port}): start it with `aperture up`, then run "
            "this again; or flash without waiting for the camera to come online (--no-wait)"
        ) from None


def _broker(place: Place) -> tuple[str, int]:
    """Return where this machine itself finds the broker."""
    settings = place.settings.mqtt
    running: dict[str, Any] = (place.running or {}).get("mqtt") or {}
    if settings.broker is BrokerKind.EXTERNAL:
        return settings.host, settings.port
    return running.get("host") or runfile.local(settings.host), running.get("port") or settings.port


@dataclass(frozen=True, slots=True)
class Watch:
    """Waits for one camera's next word. `before` is what was known of it until now."""

    place: Place
    before: Camera

    @classmethod
    def start(cls, place: Place, name: str) -> "Watch":
        """Watch from now on.

        Raises:
            NotFoundError: there is no such camera.
        """
        return cls(place, _camera(place, name))

    async def online(self, timeout_s: float) -> Camera | None:
        """Return the camera once it has said `online`, if it can be with its telemetry; None after the time."""
        deadline = time.monotonic() + timeout_s
        is_online = False
        while time.monotonic() < deadline:
            known = await asyncio.to_thread(_camera, self.place, self.before.name)
            if known.presence is Presence.ONLINE and known.seen_at_ms != self.before.seen_at_ms:
                if known.status_at_ms != self.before.status_at_ms:
                    return known
                if not is_online:
                    is_online, deadline = True, time.monotonic() + _STATUS_S
            await asyncio.sleep(_LOOK_S)
        return _camera(self.place, self.before.name) if is_online else None


def _camera(place: Place, name: str) -> Camera:
    known = place.database.read(lambda connection: cameras.get(connection, name))
    if known is None:
        raise NotFoundError(f"there is no camera {name!r}")
    return known


class SerialLog:
    """What a camera prints on its cable; `lines` grows while it is read."""

    def __init__(self, port: str, on_line: Callable[[str], None]) -> None:
        self.lines: list[str] = []
        self._port, self._on_line = port, on_line
        self._stop = threading.Event()
        self._rest = b""

    def read(self) -> None:
        """Read until `stop`. The port may go and come back: a board with USB of its own does so at each reset."""
        while not self._stop.is_set():
            try:
                with serial_port.open_port(self._port) as line:
                    while not self._stop.is_set():
                        self._take(line.read(line.in_waiting or 1))
            except (FlashError, serial.SerialException, OSError):
                self._stop.wait(_REOPEN_S)

    def stop(self) -> None:
        """Have `read` return."""
        self._stop.set()

    def _take(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            text = line.decode(errors="replace").rstrip()
            self.lines.append(text)
            self._on_line(text)
        del self.lines[:-_MOST_LINES]


@contextmanager
def log_of(port: str, on_line: Callable[[str], None]) -> Generator[SerialLog]:
    """Read a camera's log in a thread, meanwhile; `on_line` is called there."""
    log = SerialLog(port, on_line)
    thread = threading.Thread(target=log.read, name=f"serial log {port}", daemon=True)
    thread.start()
    try:
        yield log
    finally:
        log.stop()
        thread.join(5)
