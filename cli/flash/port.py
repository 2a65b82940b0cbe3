"""The serial port: whether it is there and ours to open, and what hangs on it."""

import grp
import os
import string
import time
from pathlib import Path
from typing import Final

import serial
from serial.tools import list_ports

from cli.flash.boards import Image
from cli.flash.errors import FlashError

_BAUD: Final = 115_200
_PATIENCE_S: Final = 6.0  # a board that restarts is at its prompt by then
_CLUE_S: Final = 2.0
_KNOCK_S: Final = 0.5
_KNOCK: Final = b"\r\x03\x03\r\x02"  # Ctrl-C ends what runs, Ctrl-B leaves the raw prompt
_PROMPT: Final = b">>> "
_MOST_HEARD: Final = 64 * 1024
_ENOUGH_TEXT: Final = 0.9

_CLUES: Final = (
    (
        b"waiting for download",
        "the board waits for an image (BOOT is pressed, or GPIO0 is low): release it, press reset",
    ),
    (b"invalid header: 0xffffffff", "its flash is empty"),
    (b"Brownout detector", "its supply breaks down as it starts: use another cable, or a port that gives more current"),
    (b"flash read err", "it can't read its flash: is something on GPIO12 that pulls it up at the start?"),
    (b"Guru Meditation", "what is on it crashes as it starts"),
)


def open_port(port: str) -> serial.Serial:
    """Open a port to read what comes; several may read, which the caller has to rule out.

    Raises:
        FlashError: it is not there, is not ours to open, or another program has it.
    """
    check(port)
    try:
        return serial.Serial(port, _BAUD, timeout=0.1, exclusive=True)
    except (serial.SerialException, OSError) as error:
        raise FlashError(
            f"{port} can't be opened ({_reason(error)}): end the program that has it open (a terminal, an editor), "
            "or unplug the board and plug it in again"
        ) from None


def is_there(port: str) -> bool:
    """Whether there is such a port now."""
    return Path(port).exists()


def check(port: str) -> None:
    """Look whether there is such a port, and whether this user may open it.

    Raises:
        FlashError: with the ports that there are, or what to do about the permission.
    """
    path = Path(port)
    if not path.exists():
        raise FlashError(f"there is no port {port}: {_ports_here()}")
    if not path.is_char_device():
        raise FlashError(f"{port} is no serial port: {_ports_here()}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise FlashError(f"you may not open {port}: {_permission(path)}")


def wake(port: str, image: Image) -> str:
    """Stop what runs on the board until MicroPython's prompt is there, and return what it says of itself.

    Raises:
        FlashError: there is no MicroPython; with what was heard instead, and what to do.
    """
    try:
        with open_port(port) as line:
            heard = _knock(line)
    except (serial.SerialException, OSError) as error:
        raise FlashError(f"{port} was cut off ({_reason(error)}): check the cable, and run it again") from None
    if _is_prompt(heard):
        return _banner(heard)
    raise FlashError(
        f"no MicroPython answers on {port}: {_what_was_heard(heard)}.\n  For a board without it: {image.how_to(port)}"
    )


def _knock(line: serial.Serial) -> bytes:
    """Knock until there is the prompt, or a clue why there won't be one; return what was heard."""
    heard = b""
    start = time.monotonic()
    while (passed_s := time.monotonic() - start) < _PATIENCE_S:
        if passed_s > _CLUE_S and any(words in heard for words, _ in _CLUES):
            break
        line.write(_KNOCK)
        pause = time.monotonic() + _KNOCK_S
        while time.monotonic() < pause:
            heard = (heard + line.read(line.in_waiting or 1))[-_MOST_HEARD:]
            if _is_prompt(heard):
                return heard
    return heard


def _is_prompt(heard: bytes) -> bool:
    return heard.endswith(_PROMPT) and b"MicroPython" in heard


def _banner(heard: bytes) -> str:
    at = heard.rindex(b"MicroPython")
    return heard[at:].splitlines()[0].decode(errors="replace").strip()


def _what_was_heard(heard: bytes) -> str:
    for words, meaning in _CLUES:
        if words in heard:
            return meaning
    said = heard.replace(b"\r", b"").replace(b"\x03", b"").strip()
    if not said:
        return (
            "the board says nothing. It may be asleep (press its shutter or reset), have no image of MicroPython on "
            "it, or hang on a cable that only charges"
        )
    if b"MicroPython" in said:
        return "MicroPython is there, but what runs on it can't be stopped: press reset, and run this again at once"
    text = said.decode(errors="replace")
    readable = sum(character in string.printable for character in text) / len(text)
    if readable < _ENOUGH_TEXT:
        return "what comes from it makes no sense (another program with another speed, or a bad contact)"
    return f"another program runs on it; it says {text.splitlines()[-1][:60]!r}"


def _ports_here() -> str:
    ports = [port for port in sorted(list_ports.comports()) if port.vid is not None]  # else it is soldered to this PC
    if not ports:
        return (
            "no board is to be seen on USB. Plug it in; if it is, the cable may only charge, or the board is asleep "
            "(press reset)"
        )
    return "there is " + ", ".join(f"{port.device} ({port.description})" for port in ports)


def _permission(path: Path) -> str:
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (KeyError, OSError):
        group = "dialout"
    if group == "root":
        return "it belongs to root; a udev rule gives it to the group dialout"
    return f"it belongs to the group {group}. sudo usermod -aG {group} $USER, then log out and in again"


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2] or type(error).__name__
