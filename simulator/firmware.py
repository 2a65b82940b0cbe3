"""What lies where on a camera: one answer, for the virtual camera and for `aperture flash`.

`firmware/main.py`, the launcher, has the rules of the two slots.
"""

import hashlib
from pathlib import Path
from typing import Final

FIRMWARE: Final = Path(__file__).parent.parent / "firmware"
SLOTS: Final = ("a", "b")


def device_files() -> dict[str, Path]:
    """Return the files of a first install: absolute path on the camera -> source file, in the order to copy them.

    All firmware goes to slot `a`, which wants to be empty: MicroPython takes `x.py` before `x.mpy`. The slot's
    `bundle.json`, by which the launcher knows that it is whole, comes after the rest of it, and last `/slots.json`,
    which makes it the active one.
    """
    modules = sorted(FIRMWARE.glob("aa/*.py")) + sorted(FIRMWARE.glob("boards/*.py"))
    files = {f"/a/{source.relative_to(FIRMWARE).as_posix()}": source for source in modules}
    files["/a/bundle.json"] = FIRMWARE / "bundle.json"
    files["/main.py"] = FIRMWARE / "main.py"
    files["/slots.json"] = FIRMWARE / "slots.json"
    return files


def digest_of(files: dict[str, Path]) -> str:
    """Return a SHA-256 over what `device_files` names: it changes with any byte, name or place."""
    digest = hashlib.sha256()
    for place, source in files.items():
        digest.update(f"{place} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
