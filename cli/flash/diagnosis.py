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

# The first that fits the last line of its kind wins; {0} is what the camera said.
_WIFI: Final = (
    (r"wrong.password|WRONG_PASSWORD|auth", "the Wi-Fi refuses its password: give the right one with --wifi SSID"),
    (r"not.found|NO_AP", "there is no Wi-Fi of that name here: check the name (ESP32s know 2.4 GHz only), go nearer"),
    (r"", "it does not get into the Wi-Fi: check name and password (--wifi SSID asks again), and that it has 2.4 GHz"),
)
_MQTT: Final = (
    (r"bad user|not authorized|refused.*(4|5)\b", "the broker refuses its token: run this command again"),
    (
        r"ECONNREFUSED|111",
        "nothing listens at the MQTT address that it was given: does `aperture up` run, on that port?",
    ),
    (
        r"EHOSTUNREACH|113|ENETUNREACH|118|Timeout|ETIMEDOUT|110|-2|no answer",
        "it can't reach the server: check --host, a firewall, and that the Wi-Fi lets its guests reach the LAN",
    ),
    (
        r"cert|CERT|X509|verify",
        "it does not trust the server's certificate: aperture tls init, then this command again",
    ),
    (r"", "it does not get through to the broker ({0})"),
)
_FTP: Final = (
    (r"530|login|auth", "FTP refuses its token: run this command again"),
    (r"", "FTP does not work for it yet ({0}): photos wait on the camera"),
)


def read(lines: list[str]) -> Finding:
    """Return what the log says."""
    stage = max((stage for line in lines for pattern, stage in _REACHED if pattern.search(line)), default=Stage.SILENT)
    match stage:
        case Stage.SILENT:
            words = _no_start(lines)
        case Stage.STARTED:
            words = _first(_WIFI, _last(lines, r"^[WE] (no wifi|wifi)"))
        case Stage.WIFI:
            words = _first(_MQTT, _last(lines, r"^[WE] mqtt"))
        case Stage.MQTT:
            words = "it reached the broker, but no bridge took its word: does `aperture up` run, on this data folder?"
    return Finding(stage, words)


def ftp_trouble(lines: list[str]) -> str | None:
    """Return what is wrong with FTP, None while nothing is known to be."""
    state = [line for line in lines if re.match(r"^[IWE] ftp (up|down)", line)]
    if not state or state[-1].startswith("I"):
        return None
    return _first(_FTP, state[-1])


def milestone(line: str) -> str | None:
    """Return in words what a line tells of the way to `online`, None when that is nothing."""
    if line.startswith("I wifi up"):
        return f"Wi-Fi: up, {line.partition('address=')[2] or 'with an address'}"
    if line.startswith("I mqtt up"):
        return "MQTT: up"
    if re.match(r"^[WE] (no wifi|wifi (?!lost))", line):
        return f"Wi-Fi: {_first(_WIFI, line)}"
    if line.startswith("W mqtt down"):
        return f"MQTT: {_first(_MQTT, line)}"
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
    said = line.partition("why=")[2] or line.partition(" ")[2] or "it says no more"
    return next(words for pattern, words in table if re.search(pattern, line)).format(said)
