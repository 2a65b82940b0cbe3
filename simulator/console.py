"""What can be done by hand to a virtual camera: its shutter, its surroundings and its power, in words.

`control` carries this to another process; `cli.console` puts it on a terminal.
"""

import asyncio
import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.bench import SPOILT
from simulator.camera import VirtualCamera
from simulator.screen import draw_text

_CUT_S: Final = 1.0
_REFUSED: Final = re.compile("W mqtt down why=Refused: [45] ")  # MQTT 3.1.1, 3.2.2.3


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that can be said: how it is typed, and what it does. `form` is what may follow it."""

    usage: str
    what: str
    form: str = ""

    @property
    def name(self) -> str:
        """The word itself."""
        return self.usage.split()[0]


WORDS: Final = (
    Word("press [HELD_MS]", "press the shutter, as Enter alone does; asleep, that wakes it", r"(\d{1,5})?"),
    Word("wifi down|up", "take the network out of reach, or bring it back", r"down|up|wrong-password|dhcp|reach \S.*"),
    Word("wifi wrong-password", "have the access point refuse it, until `wifi up`"),
    Word("wifi dhcp", "give it another address"),
    Word("wifi reach NAME[=PASSWORD] …", "have these networks in reach, and no other"),
    Word("dns hang|ok", "have names never answered, or answered again", "hang|ok"),
    Word("battery MV", "set the battery's voltage: 4200 is full, 3300 nearly empty", r"\d{3,4}"),
    Word("usb on|off", "plug a charger in, or pull it", "on|off"),
    Word("card out|in", "pull the card, or put it back", "out|in"),
    Word("sensor OV2640|OV3660|OV5640|none", "change the sensor; a reset finds it", "OV2640|OV3660|OV5640|none"),
    Word(
        "frames black|same|truncated|none N",
        "spoil the next N frames; a photo fetches at least three",
        r"(black|same|truncated|none) \d{1,3}",
    ),
    Word("exposure MS", "have each frame take so long, in turn in two buffers; a reset finds it", r"\d{1,4}"),
    Word("power off|on", "cut its power, or give it power", "off|on|cut"),
    Word("power cut", "cut its power for a second"),
    Word("hang", "have its firmware hang: it does nothing until its watchdog resets it, which `status` tells"),
    Word("watchdog MS", "have its watchdog wait for so long: 60000 unless said", r"[1-9]\d{2,5}"),
    Word("screen [wide]", "draw what its display shows", "(wide)?"),
    Word("status", "tell how it is"),
    Word("help", "list these words"),
)
_NAMES: Final = tuple(dict.fromkeys(word.name for word in WORDS))
_FORMS: Final = {name: next(word.form for word in WORDS if word.name == name) for name in _NAMES}


class Console:
    """Does what is typed to one camera."""

    def __init__(self, camera: VirtualCamera) -> None:
        self._camera = camera

    @property
    def name(self) -> str:
        """The camera's name."""
        return self._camera.name

    async def answer(self, line: str) -> list[str]:
        """Do what a line says, and return what there is to tell; a line that is not understood does nothing."""
        words = line.split() or ["press"]
        complaint = check(words)
        if complaint:
            return [complaint]
        told: list[str] = []
        match words:
            case ["help"]:
                told = usage(WORDS)
            case ["screen", *how]:
                told = draw_text(self._camera.pixels, wide=bool(how))
            case ["status"]:
                told = self._status()
            case ["press", *held]:
                told = await self._press(*held)
            case ["power", how]:
                await self._power(how)
            case ["hang"]:
                await self._camera.say("hang")
                told = [f"{self.name} hangs: {self._bite()}"]
            case _:
                await self._camera.say(" ".join(words))
        return told

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Have `hear` called with each line that the camera says; return what ends that."""

        def explain(line: str) -> None:
            hear(line)
            if _REFUSED.match(line):
                hear(f"[its token is void, or not its own: `aperture simulate {self.name}` anew gives it another]")

        return self._camera.listen(explain)

    async def _press(self, held_ms: str = "80") -> list[str]:
        if not self._camera.has_power:
            return [f"{self.name} has no power: power on"]
        await self._camera.press(held_ms=int(held_ms))
        return []

    async def _power(self, how: str) -> None:
        if how != "on":
            await self._camera.kill()
        if how == "cut":
            await asyncio.sleep(_CUT_S)
        if how != "off":
            await self._camera.power_on()

    def _bite(self) -> str:
        seconds = self._camera.bites_in_s
        if seconds is None:
            return "it has no watchdog, so that only `power cut` helps"
        return f"its watchdog resets it in {seconds:.0f} s, `power cut` at once"

    def _status(self) -> list[str]:
        camera = self._camera
        lines = [
            f"power    {camera.power.value}{', but it hangs: ' + self._bite() if camera.hangs else ''}",
            f"sensor   {_frames(camera.taken)} frames kept in {camera.taken}",
            f"queue    {camera.waiting} to hand over",
        ]
        return lines + [f"{event:8} {words}" for event, words in camera.surroundings.items()]


def _frames(taken: Path) -> str:
    spoilt = len(list((taken / SPOILT).glob("*.jpg")))
    return f"{len(list(taken.glob('*.jpg')))}{f' whole and {spoilt} spoilt' if spoilt else ''}"


def check(words: list[str], others: Iterable[str] = ()) -> str | None:
    """Return what is wrong with what was typed, and what may be meant; None when it can be done."""
    name, rest = words[0], " ".join(words[1:])
    if name not in _NAMES:
        return f"{name}: {nearest(name, [*_NAMES, *others])}"
    if not re.fullmatch(_FORMS[name], rest):
        forms = ", ".join(word.usage for word in WORDS if word.name == name)
        return f"{' '.join(words)}: it is {forms}"
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return which of the known words may be meant."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return "".join(f"do you mean {word}? " for word in close) + "`help` lists the words"


def usage(words: Iterable[Word]) -> list[str]:
    """Return a line for each."""
    listed = list(words)
    width = max(len(word.usage) for word in listed)
    return [f"{word.usage:{width}}  {word.what}" for word in listed]
