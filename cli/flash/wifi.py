"""The Wi-Fi that a camera joins: asked once, remembered for the next camera when its owner says so.

The password comes from a prompt that does not show it, a file, or the environment: never from the command line, where
everyone on this machine could read it. It is kept in `<data>/wifi.json`, readable by its owner alone.
"""

import getpass
import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from aperture.store import private_file
from cli.flash.errors import FlashError

VARIABLE: Final = "APERTURE_WIFI_PASSWORD"
_MOST_SSID = 32  # IEEE 802.11
_LEAST_PASSWORD, _MOST_PASSWORD, _KEY = 8, 63, 64  # WPA2: a passphrase, or a key in hex


@dataclass(frozen=True, slots=True)
class Network:
    """A network's name and password; an open one's is empty."""

    ssid: str
    password: str = field(repr=False)

    def as_secret(self) -> dict[str, str]:
        """Return it in the form of `secrets.json`."""
        return {"ssid": self.ssid, "password": self.password}


def choose(
    data_dir: Path, *, ssid: str | None, password_file: Path | None, on_board: object, say: Callable[[str], None]
) -> object:
    """Return what goes under `wifi` in the secrets: what was asked for, else what the board or this machine knows.

    Args:
        data_dir: where the last one may be remembered.
        ssid: the network that was asked for, if any.
        password_file: a file with its password, if any.
        on_board: `wifi` of the board's own secrets, if any: one network, or a list of them.
        say: prints a line.

    Raises:
        FlashError: nothing is known and nobody can be asked, or what was given can be no Wi-Fi.
    """
    remembered = _remembered(data_dir)
    if ssid is None:
        if on_board:
            say(f"Wi-Fi     {', '.join(known.ssid for known in _networks(on_board))}, as on the camera")
            return on_board
        if remembered is not None:
            say(f"Wi-Fi     {remembered.ssid}, as last time (--wifi SSID takes another)")
            return remembered.as_secret()
        network = _ask(None, password_file)
    else:
        known = [one for one in (*_networks(on_board), *([remembered] if remembered else [])) if one.ssid == ssid]
        given = _given(password_file)
        if given is None and known:
            say(f"Wi-Fi     {ssid}, with the password that is known of it")
            return known[0].as_secret()
        network = _ask(ssid, password_file)
    _check(network)
    say(f"Wi-Fi     {network.ssid}")
    if sys.stdin.isatty() and network != remembered and _yes("Remember it for the next camera? [Y/n] "):
        remember(data_dir, network)
    return network.as_secret()


def remember(data_dir: Path, network: Network) -> None:
    """Keep a network for the next camera."""
    data_dir.mkdir(parents=True, exist_ok=True)
    private_file.write(_path(data_dir), json.dumps(network.as_secret()) + "\n")


def _path(data_dir: Path) -> Path:
    return data_dir / "wifi.json"


def _remembered(data_dir: Path) -> Network | None:
    try:
        (network,) = _networks(json.loads(_path(data_dir).read_text()))
    except (OSError, ValueError):
        return None
    return network


def _networks(value: object) -> list[Network]:
    """Return the networks in what secrets have under `wifi`; what is none is left out."""
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    found: list[Network] = []
    for item in items:
        if isinstance(item, dict):
            one = cast("dict[str, Any]", item)
            if isinstance(one.get("ssid"), str) and one["ssid"]:
                found.append(Network(one["ssid"], str(one.get("password") or "")))
    return found


def _given(password_file: Path | None) -> str | None:
    if password_file is None:
        return os.environ.get(VARIABLE)
    try:
        return password_file.read_text().rstrip("\r\n")
    except OSError as error:
        raise FlashError(f"{password_file} can't be read: {error.strerror}") from None


def _ask(ssid: str | None, password_file: Path | None) -> Network:
    password = _given(password_file)
    try:
        return _type(ssid, password)
    except (KeyboardInterrupt, EOFError):
        print()
        raise FlashError("stopped, and nothing was changed") from None


def _type(ssid: str | None, password: str | None) -> Network:
    if (ssid is None or password is None) and not sys.stdin.isatty():
        raise FlashError(
            "the camera's Wi-Fi is not known, and nobody can be asked here: give --wifi SSID, and its password in "
            f"--wifi-password-file FILE or in {VARIABLE}"
        )
    with _interruptible():
        if ssid is None:
            ssid = input("Wi-Fi's name (SSID): ").strip()
        if password is None:
            password = getpass.getpass(f"Password of {ssid} (empty for an open network): ")
    return Network(ssid, password)


@contextmanager
def _interruptible() -> Generator[None]:
    """Have Ctrl-C end a question: the event loop would only take note of it, and the question go on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _check(network: Network) -> None:
    size = len(network.ssid.encode())
    if not 0 < size <= _MOST_SSID:
        raise FlashError(f"a Wi-Fi's name has 1 to {_MOST_SSID} bytes, not {size}")
    password = network.password
    if password and not _LEAST_PASSWORD <= len(password) <= _KEY:
        raise FlashError(
            f"a Wi-Fi's password has {_LEAST_PASSWORD} to {_MOST_PASSWORD} characters (or is a key of {_KEY} hex "
            f"digits), not {len(password)}"
        )


def _yes(question: str) -> bool:
    with _interruptible():
        try:
            return input(question).strip().lower() in {"", "y", "yes"}
        except (KeyboardInterrupt, EOFError):
            return False
