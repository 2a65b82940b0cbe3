"""Every screen with its edge values, as the firmware draws it on MicroPython."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import Image

from simulator.available import micropython
from simulator.errors import SimulatorError
from simulator.firmware import FIRMWARE
from simulator.screen import picture

_SCRIPT: Final = Path(__file__).parent.parent / "hardware" / "draw_screens.py"
_TIMEOUT_S: Final = 60
_HEADER: Final = {"name": "front-door", "bars": 3, "battery": 68, "plugged": False}
_LONG_NAME: Final = "camera-at-the-far-end-of-my-barn"  # as long as a camera's name can be
_LONG_NETWORK: Final = "The Neighbours' Wi-Fi, 5 GHz EXT"  # as long as an SSID can be
_OFF: Final[dict[str, Any]] = {"bars": 0}

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shot:
    """One screen: `file` names its picture, `more` is its view beside the header, `caption` is for the page of all."""

    file: str
    screen: str
    more: View = field(default_factory=dict[str, Any])
    caption: str = ""
    height: int = 64

    @property
    def view(self) -> View:
        """What the screen is drawn from."""
        return {**_HEADER, **self.more}


_CONNECTING: Final[View] = {"step": 0, "where": "home", "attempt": 1, "trouble": None, **_OFF}
_READY: Final[View] = {"queue": 0, "note": ""}
_VERSION: Final[View] = {"version": "0.1.0", "board": "aa3"}

SHOTS: Final = (
    Shot("boot", "boot", _VERSION, "Boot: name, version, board"),
    Shot("boot-long", "boot", {**_VERSION, "name": _LONG_NAME, "board": "xiao-s3-sense"}),
    Shot("connecting", "connecting", _CONNECTING, "Connecting: which network"),
    Shot("connecting-again", "connecting", {**_CONNECTING, "attempt": 12, "where": _LONG_NETWORK}),
    Shot("connecting-unbroken", "connecting", {**_CONNECTING, "where": "0123456789abcdef0123456789ABCDEF"}),
    Shot("connecting-umlaut", "connecting", {**_CONNECTING, "where": "Café Größe 東", "bars": 0}),
    Shot("connecting-trouble", "connecting", {**_CONNECTING, "trouble": ["No Wi-Fi", "is it in reach?"]}),
    Shot("server", "connecting", {**_CONNECTING, "step": 1, "where": "192.168.1.10", "attempt": 3, "bars": 3},
         "Then the server, third try"),
    Shot("server-long", "connecting", {**_CONNECTING, "step": 2, "where": "aperture.a-long-domain.example", "bars": 1,
                                       "trouble": ["Unknown server", "check its name"]}),
    Shot("ready", "ready", _READY, "Ready"),
    Shot("ready-1", "ready", {**_READY, "queue": 1, "battery": None, "bars": 1}),
    Shot("ready-99", "ready", {**_READY, "queue": 99, "battery": 100, "bars": 4}, "Ready, 99 still on their way"),
    Shot("ready-1000", "ready", {**_READY, "queue": 1000, "battery": 0, "bars": 2, "name": _LONG_NAME}),
    Shot("ready-usb", "ready", {**_READY, "plugged": True, "bars": 4}, "Ready, on USB power"),
    Shot("ready-note", "ready", {**_READY, "note": "battery is low", "battery": 7}, "Ready, with a note"),
    Shot("flash", "flash", {}, "The moment of the press"),
    Shot("uploading-0", "uploading", {"number": 1, "percent": 0, "queue": 1, "bars": 1}),
    Shot("uploading", "uploading", {"number": 41, "percent": 42, "queue": 3}, "Uploading, two more wait"),
    Shot("uploading-100", "uploading", {"number": 9999, "percent": 100, "queue": 1001, "bars": 4, "name": _LONG_NAME}),
    Shot("discord", "in_discord", {"number": 41, "after_ms": 1432}, "It can be seen"),
    Shot("discord-late", "in_discord", {"number": 9999, "after_ms": 86_400_000}),
    Shot("stored", "stored", {"number": 41, "after_ms": None}, "The archive has it"),
    Shot("queued-1", "queued", {**_OFF, "queue": 1, "why": "No Wi-Fi"}),
    Shot("queued", "queued", {**_OFF, "queue": 3, "why": "No Wi-Fi"}, "No network: kept safe"),
    Shot("queued-99", "queued", {"queue": 99, "why": "No answer", "battery": 7}, "The server is away"),
    Shot("queued-1000", "queued", {**_OFF, "queue": 1000, "why": "", "battery": None}),
    Shot("error", "error", {**_OFF, "queue": 3, "trouble": ["Wi-Fi password", "check secrets"]},
         "What is wrong, what to do"),
    Shot("error-certificate", "error", {"queue": 0, "trouble": ["Bad certificate", "aperture tls"]}),
    Shot("error-card", "error", {"queue": 1000, "trouble": ["Card full", "bring near Wi-Fi"]}, "Room has run out"),
    Shot("error-wide", "error", {"queue": 1000, "trouble": ["WWWWWWWWWWWWWWWW", "MMMMMMMMMMMMMMMM"]}),
    Shot("sleeping-till", "sleeping", {"until": "till 14:05"}, "Asleep until then"),
    Shot("sleeping", "sleeping", {"until": ""}, "Asleep until a press"),
    Shot("sleeping-for", "sleeping", {"until": "for 168 h"}),
    Shot("updating", "updating", {"version": "0.2.0", "percent": 42}, "New firmware comes"),
    Shot("updating-100", "updating", {"version": "10.20.30-rc1", "percent": 100}),
    Shot("identify", "identify", {}, "Which one is it? It blinks"),
    Shot("identify-short", "identify", {"name": "cam"}),
    Shot("identify-long", "identify", {"name": _LONG_NAME}),
    Shot("identify-wide", "identify", {"name": "w" * 32}),
)  # fmt: skip
"""All, for a panel of 64 rows. Those with a caption are shown on the page of all."""

SMALL: Final = tuple(
    Shot(f"small-{shot.file}", shot.screen, shot.more, shot.caption, 32)
    for shot in SHOTS
    if shot.caption or shot.file in {"boot-long", "connecting-again", "ready-1000", "uploading-100", "queued-1000",
                                     "error-certificate", "error-wide", "identify-long"}
)  # fmt: skip
"""The same for a panel of 32 rows."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shot as it came out: black and white, and in words."""

    shot: Shot
    image: Image.Image
    lines: list[str]


def draw(shots: tuple[Shot, ...], *, libraries: Path) -> list[Drawn]:
    """Draw shots with the firmware, through the real ssd1306 (in `libraries`) onto the simulated panel.

    Raises:
        SimulatorError: with what MicroPython said.
    """
    asked = [{"screen": shot.screen, "view": shot.view, "height": shot.height} for shot in shots]
    done = subprocess.run(  # noqa: S603 - our own script
        [*micropython(str(_SCRIPT), str(FIRMWARE), str(libraries))],
        input="".join(json.dumps(one) + "\n" for one in asked),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise SimulatorError(f"the screens could not be drawn: {done.stdout[-500:]}{done.stderr}")
    drawn: list[Drawn] = []
    for shot, line in zip(shots, done.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        image = picture(bytes.fromhex(answer["pixels"])).crop((0, 0, 128, shot.height))
        drawn.append(Drawn(shot, image, answer["lines"]))
    return drawn
