"""What a camera's serial log says of how far it came, for when it does not come online.

The firmware prints a line for each event: level, event, key=value (`firmware/aa/log.py`).
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Stage(IntEnum):
    """How far the camera came."""

    SILENT = 0
    STARTED = 1
    WIFI = 2
    MQTT = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """How far it came, and in words what is in its way."""

    stage: Stage
    words: str


_REACHED: Final = (
    (re.compile(r"^I camera "), Stage.STARTED),
    (re.compile(r"^I wifi up"), Stage.WIFI),
    (re.compile(r"^I mqtt up"), Stage.MQTT),
)

# The first that fits what the camera said wins; {0} is what that was. `firmware/aa/troubles.py` has the Wi-Fi's words.
_WIFI: Final = (
    (r"Wi-Fi password", "the Wi-Fi refuses its password: run this again with --wifi SSID and the right one"),
    (r"No IP address", "the Wi-Fi gives it no address: is the router's DHCP on, and has it any left?"),
    (r"No Wi-Fi known", "it was given no Wi-Fi: run this again with --wifi SSID"),
    (r"", "it finds no Wi-Fi of its name: check the name (--wifi SSID), that it has 2.4 GHz, and the distance"),
)
_MQTT: Final = (
    (r"Refused: [45]\b", "the broker refuses its token: run this command again"),
    (
        r"\b(ECONNREFUSED|ECONNRESET|ECONNABORTED|111|104|103)\b",
        "nothing listens at the MQTT address that it was given",
    ),
    (r"NameNotFound", "nobody knows the server's name ({0}): give its address with --host"),
    (r"is missing|is no certificate", "it has no certificate to check the server by: run this command again"),
    (r"TlsError", "it does not trust the server's certificate ({0}): aperture tls init, then run this command again"),
    (
        r"\b(Timeout|TimeoutError|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|110|113|118)\b",
        "the server does not answer it: check --host, the firewall, and that the Wi-Fi lets its guests reach the LAN",
    ),
    (r"", "it does not get through to the broker ({0})"),
)
_FTP: Final = (
    (r"Refused: (530|332)", "FTP refuses its token: run this command again"),
    (r"", "FTP does not work for it yet ({0}): photos wait on the camera"),
)
_WIFI_DOWN: Final = r"^W wifi down"
_MQTT_DOWN: Final = r"^W mqtt down"


def read(lines: list[str]) -> Finding:
    """Return what the log says."""
    stage = max((stage for line in lines for pattern, stage in _REACHED if pattern.search(line)), default=Stage.SILENT)
    match stage:
        case Stage.SILENT:
            words = _no_start(lines)
        case Stage.STARTED:
            words = _first(_WIFI, _last(lines, _WIFI_DOWN))
        case Stage.WIFI:
            words = _first(_MQTT, _last(lines, _MQTT_DOWN))
        case Stage.MQTT:
            words = "it reached the broker, but no bridge took its word: does `aperture up` run, on this data folder?"
    return Finding(stage, words)


def ftp(lines: list[str]) -> str | None:
    """Return "" when the camera's FTP works, what is wrong when it doesn't, None while nothing is known."""
    state = [line for line in lines if re.match(r"^[IWE] ftp (up|down)", line)]
    if not state:
        return None
    return "" if state[-1].startswith("I") else _first(_FTP, state[-1])


def milestone(line: str) -> str | None:
    """Return in words what a line tells of the way to `online`, None when that is nothing."""
    if line.startswith("I wifi up"):
        return f"Wi-Fi: up, {line.partition('address=')[2] or 'with an address'}"
    if line.startswith(("I mqtt up", "I ftp up")):
        return f"{line.split()[1].upper()}: up"
    for pattern, table, link in ((_WIFI_DOWN, _WIFI, "Wi-Fi"), (_MQTT_DOWN, _MQTT, "MQTT")):
        if re.match(pattern, line):
            return f"{link}: {_first(table, line)}"
    return None


def _no_start(lines: list[str]) -> str:
    told = [line for line in lines if line.strip()]
    errors = [line for line in told if re.match(r"^(E |\w*(Error|Settings|Exception): )", line)]
    if errors:
        return f"its firmware does not start: {errors[-1].removeprefix('E ')}"
    if not told:
        return "it says nothing on the cable: press reset, and watch it with: mpremote connect PORT repl"
    return f"its firmware does not start; the last that it says is {told[-1][:100]!r}"


def _last(lines: list[str], pattern: str) -> str:
    return next((line for line in reversed(lines) if re.search(pattern, line)), "")


def _first(table: tuple[tuple[str, str], ...], line: str) -> str:
    said = line.partition("why=")[2] or "it says no more"
    return next(words for pattern, words in table if re.search(pattern, line)).format(said)
