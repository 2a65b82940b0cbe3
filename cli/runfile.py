"""`<data>/run.json`: what runs on a data folder and where it listens, for other commands and for scripts.

It is there once everything is ready, with mode 0600 (a demo's has a token), and goes when the process ends.
"""

import fcntl
import json
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aperture.settings import Settings
from cli.errors import AlreadyRunningError

DEMO_DIR = Path("data-demo")
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


@contextmanager
def exclusive(data_dir: Path) -> Generator[None]:
    """Hold the data folder for this process.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunningError(
                f"something runs on {data_dir} already (process {lock.read().strip()}): end it first, "
                "or use another folder with --data-dir"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        path(data_dir).unlink(missing_ok=True)  # left by a process that was killed
        try:
            yield
        finally:
            path(data_dir).unlink(missing_ok=True)


def path(data_dir: Path) -> Path:
    """Return where the file is."""
    return data_dir / "run.json"


def write(data_dir: Path, content: dict[str, Any]) -> None:
    """Write the file in one step, readable by its owner alone."""
    temporary = data_dir / ".run.json"
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=2)
    temporary.replace(path(data_dir))


def read(data_dir: Path) -> dict[str, Any] | None:
    """Return the file's content while its process lives, else None."""
    try:
        content: dict[str, Any] = json.loads(path(data_dir).read_text())
        os.kill(content["pid"], 0)
    except PermissionError:  # it lives, as another user
        return json.loads(path(data_dir).read_text())
    except (OSError, ValueError, KeyError):
        return None
    return content


def elsewhere(settings: Settings) -> Path | None:
    """Return a demo's data folder where the one of `settings` may not be what was meant.

    That is when a demo runs, nothing runs on the usual folder, and none was named.
    """
    if "data_dir" in settings.model_fields_set or read(settings.data_dir) or not read(DEMO_DIR):
        return None
    return DEMO_DIR


def reachable(host: str) -> str:
    """Return an address under which others on the network reach a listener bound to `host`."""
    if host not in _EVERYWHERE:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation's network (RFC 5737): picks a route, sends nothing
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]


def local(host: str) -> str:
    """Return an address under which this machine itself reaches a listener bound to `host`."""
    return "127.0.0.1" if host in _EVERYWHERE else host
