"""What the board is and what is on it, asked once, in one go."""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from cli.flash.errors import FlashError
from cli.flash.remote import Remote
from simulator.firmware import SLOTS

FOLDERS: Final = (*(f"/{slot}" for slot in SLOTS), "/aa", "/boards")
"""Folders that hold nothing but firmware, earlier versions' included."""
_FILES: Final = (
    "/main.py",
    "/slots.json",
    "/slots.json.tmp",
    "/ca.der",
    "/lib/ssd1306.py",
    "/lib/ssd1306.mpy",
    "/ssd1306.py",
)
_MARK: Final = "@survey "

# Runs on the board, whatever its MicroPython's age. A watchdog of the firmware can't be stopped: it gets a long leash.
_SCRIPT: Final = """
import sys, os, json, gc
out = {"version": list(sys.implementation[1])[:3], "machine": getattr(sys.implementation, "_machine", sys.platform)}
out["mpy"] = getattr(sys.implementation, "_mpy", 0) & 0xFF
try:
    import machine
    machine.WDT(timeout=600000)
except Exception:
    pass
for name in ("camera", "network"):
    try:
        __import__(name)
        out[name] = True
    except ImportError:
        out[name] = False
import hashlib, binascii
files = {}
def look(path):
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while True:
            part = file.read(512)
            if not part:
                break
            digest.update(part)
            size += len(part)
    files[path] = [size, binascii.hexlify(digest.digest()).decode()]
def walk(folder):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        (walk if entry[1] & 0x4000 else look)(folder + "/" + entry[0])
for folder in FOLDERS:
    walk(folder)
for path in FILES:
    try:
        look(path)
    except OSError:
        pass
for name, path in (("slots", "/slots.json"), ("secrets", "/secrets.json")):
    try:
        with open(path) as file:
            out[name] = json.load(file)
    except (OSError, ValueError):
        out[name] = None
facts = os.statvfs("/")
out["free"], out["block"], out["files"] = facts[0] * facts[3], facts[0], files
def waiting(folder):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return 0
    names, count = [entry[0] for entry in entries], 0
    for entry in entries:
        name = entry[0]
        if entry[1] & 0x4000:
            count += waiting(folder + "/" + name)
        elif name.endswith(".jpg"):
            count += name[:-4] + ".ok" not in names and name[:-4] + ".sent" not in names
    return count
out["photos"] = waiting("/photos") + waiting("/queue")
print("@survey " + json.dumps(out))
"""


@dataclass(frozen=True, slots=True)
class Survey:
    """A board as it was found. `files` maps path → (size in bytes, SHA-256 in hex); `photos` wait on its flash."""

    version: tuple[int, ...]
    machine: str
    mpy: int
    has_camera: bool
    free: int
    block: int
    files: dict[str, tuple[int, str]]
    slots: dict[str, Any] | None
    secrets: dict[str, Any] | None
    photos: int

    @property
    def release(self) -> str:
        """MicroPython's version."""
        return ".".join(map(str, self.version))

    @property
    def active_slot(self) -> str | None:
        """The slot that runs, None on a board that has none."""
        named = (self.slots or {}).get("active")
        return named if named in SLOTS and f"/{named}/bundle.json" in self.files else None


async def survey(remote: Remote) -> Survey:
    """Ask the board.

    Raises:
        FlashError: it does not answer, or not as MicroPython does.
    """
    script = f"FOLDERS = {FOLDERS!r}\nFILES = {_FILES!r}\n{_SCRIPT}"
    printed = await remote.run(["exec", script])
    _, mark, answer = printed.rpartition(_MARK)
    try:
        found: dict[str, Any] = json.loads(answer) if mark else {}
        return _survey(found)
    except (ValueError, KeyError, TypeError):
        raise FlashError("the board's answer can't be read: press reset on it, and run this again") from None


def _survey(found: dict[str, Any]) -> Survey:
    return Survey(
        version=tuple(found["version"]),
        machine=found["machine"],
        mpy=found["mpy"],
        has_camera=found["camera"],
        free=found["free"],
        block=max(1, found["block"]),
        files={path: (size, digest) for path, (size, digest) in found["files"].items()},
        slots=_object(found["slots"]),
        secrets=_object(found["secrets"]),
        photos=found["photos"],
    )


def _object(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
