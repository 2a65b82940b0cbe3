"""What lies where on a camera: one answer, for the virtual camera and for `aperture flash`.

`firmware/main.py`, the launcher, has the rules of the two slots.
"""

import hashlib
from pathlib import Path
from typing import Final

from aperture import bundles
from aperture.bundles import Bundle

FIRMWARE: Final = Path(__file__).parent.parent / "firmware"
SLOTS: Final = ("a", "b")


def device_files(bundle: Bundle | None = None) -> dict[str, Path]:
    """Return the files of a first install: absolute path on the camera -> source file, in the order to copy them.

    They are a bundle's, which `simulator.bundle` builds and a camera starts from in a moment, or without one the
    sources, which it compiles at each start.

    All firmware goes to slot `a`, which wants to be empty: MicroPython takes `x.py` before `x.mpy`. The slot's
    `bundle.json`, by which the launcher knows that it is whole, comes after the rest of it, and last `/slots.json`,
    which makes it the active one.
    """
    folder = FIRMWARE if bundle is None else bundle.folder
    if bundle is None:
        modules = [*FIRMWARE.glob("aa/*.py"), *FIRMWARE.glob("boards/*.py")]
    else:
        modules = [folder / file.path for file in bundle.manifest.files]
    files = {f"/a/{source.relative_to(folder).as_posix()}": source for source in sorted(modules)}
    files["/a/bundle.json"] = folder / bundles.MANIFEST
    files["/main.py"] = FIRMWARE / "main.py"
    files["/slots.json"] = FIRMWARE / "slots.json"
    return files


def digest_of(files: dict[str, Path]) -> str:
    """Return a SHA-256 over what `device_files` names: it changes with any byte, name or place."""
    digest = hashlib.sha256()
    for place, source in files.items():
        digest.update(f"{place} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
