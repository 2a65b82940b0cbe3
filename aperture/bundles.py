"""Bundles: firmware as cameras fetch it, each a folder below `<data>/firmware` with a `bundle.json` and the files.

`simulator.bundle` builds them; the FTP server hands them out, with a signature; `firmware/aa/update.py` takes them.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aperture.contract.messages import Sha256

MANIFEST: Final = "bundle.json"
NEWEST: Final = "newest"
"""What a camera reads when it was not told which bundle: no bundle's own name."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


class BundleFile(BaseModel):
    """One file of a bundle; `path` is relative to the slot that it goes to."""

    model_config = ConfigDict(frozen=True)

    path: Annotated[str, Field(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)*\.(mpy|py)$", max_length=64)]
    bytes: Annotated[int, Field(ge=0, le=256 * 1024)]
    sha256: Sha256


class Manifest(BaseModel):
    """The body of `bundle.json`. `mpy` is the format of compiled files, like 6.3; empty: there are only sources."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    mpy: Annotated[str, Field(pattern=r"^([0-9]+\.[0-9]+)?$")]
    boards: list[str]
    files: Annotated[list[BundleFile], Field(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle that is there. `name` is its folder's."""

    name: str
    folder: Path
    manifest: Manifest
    built_at_ms: int


def is_name(name: str) -> bool:
    """Whether a bundle may be called so."""
    return _NAME.fullmatch(name) is not None and name != NEWEST


def every(firmware_dir: Path) -> list[Bundle]:
    """Return the bundles of a folder, newest first; what is none is passed over."""
    folders = firmware_dir.iterdir() if firmware_dir.is_dir() else ()
    found = [bundle for folder in folders if (bundle := find(firmware_dir, folder.name))]
    return sorted(found, key=lambda bundle: (bundle.built_at_ms, bundle.name), reverse=True)


def find(firmware_dir: Path, name: str) -> Bundle | None:
    """Return the bundle of this name, None when there is none, or what is there is none."""
    file = firmware_dir / name / MANIFEST
    if not is_name(name):
        return None
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
        built_at_ms = file.stat().st_mtime_ns // 1_000_000
    except (OSError, ValidationError):
        return None
    return Bundle(name=name, folder=file.parent, manifest=manifest, built_at_ms=built_at_ms)
