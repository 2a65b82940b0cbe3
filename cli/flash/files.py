"""What a camera is to have on its flash: the firmware, compiled where that is possible, and what it needs beside it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.flash.boards import Board
from cli.flash.errors import FlashError
from simulator import bundle
from simulator.errors import BundleError, LibraryError
from simulator.firmware import device_files
from simulator.libraries import default_cache, ensure_libraries

LAUNCHER: Final = "/main.py"
CA_FILE: Final = "/ca.der"
_SLOTS_FILE: Final = "/slots.json"
_SLOT: Final = "/a/"  # where a first install goes
_DRIVER: Final = "lib/ssd1306.py"


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
    """All files. `slot` has those of a slot, by their path in it; the last one says that it is whole.

    `beside` has the others by their absolute path; the launcher is the last of them.
    """

    slot: dict[str, File]
    beside: dict[str, File]


def can_compile(mpy: int) -> bool:
    """Whether there is a compiler here, and the board (`mpy`: its bytecode's major version) takes what it makes."""
    try:
        return bundle.mpy_format().partition(".")[0] == str(mpy)
    except BundleError:
        return False


def make(board: Board, *, work: Path, compiled: bool, ca: Path | None, cache: Path | None = None) -> Firmware:
    """Make everything ready in the folder `work`; blocks for a second or so.

    Args:
        board: a display there wants its driver.
        work: where what is compiled goes.
        compiled: bytecode instead of sources: it starts faster and takes less of the heap.
        ca: the certificate (DER) that servers are checked against, where there is TLS.
        cache: where the display's driver is kept.

    Raises:
        FlashError: the driver can't be fetched, or a file does not compile.
    """
    try:
        built = bundle.build(work / "bundles", compiled=compiled)
        files = {place: File.of(source) for place, source in device_files(built).items() if place != _SLOTS_FILE}
        slot = {place.removeprefix(_SLOT): file for place, file in files.items() if place.startswith(_SLOT)}
        beside = {place: file for place, file in files.items() if not place.startswith(_SLOT) and place != LAUNCHER}
        if board.has_oled:
            driver = _display_driver(cache or default_cache(), work=work, compiled=compiled)
            beside[f"/lib/{driver.name}"] = File.of(driver)
    except (BundleError, LibraryError) as error:
        raise FlashError(str(error)) from error
    if ca is not None:
        beside[CA_FILE] = File.of(ca)
    return Firmware(slot, {**beside, LAUNCHER: files[LAUNCHER]})


def _display_driver(cache: Path, *, work: Path, compiled: bool) -> Path:
    source = ensure_libraries(cache) / "ssd1306.py"
    if not compiled:
        return source
    target = work / "ssd1306.mpy"
    target.write_bytes(bundle.compile_module(_DRIVER, source.read_bytes()))
    return target
