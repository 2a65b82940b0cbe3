"""The two MicroPython libraries that the firmware finds on a camera: fetched once, checked, kept in a cache folder.

They are source archives without a setup.py, which no installer takes; so they are unpacked beside everything else.
On a real camera umqtt.simple is part of the image and ssd1306 comes with `mpremote mip install`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.errors import LibraryError


@dataclass(frozen=True, slots=True)
class Library:
    """One pinned archive, and the file in it that proves that it is unpacked."""

    project: str
    version: str
    sha256: str
    proof: str


LIBRARIES: Final = (
    Library(
        "micropython-umqtt-simple",
        "1.3.4",
        "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f",
        "umqtt/simple.py",
    ),
    Library(
        "micropython-ssd1306",
        "0.3",
        "d00cae1ff680e6ae504e258e700f002874b0d924b1a604253b6ea63144b58289",
        "ssd1306.py",
    ),
)


def default_cache() -> Path:
    """Return the folder that caches go to on this machine (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aperture"


def ensure_libraries(cache: Path) -> Path:
    """Return a folder that holds the libraries, after fetching what is missing; several processes may do so at once.

    Raises:
        LibraryError: with what could not be fetched, and what to do.
    """
    names = "-".join(f"{library.project.removeprefix('micropython-')}-{library.version}" for library in LIBRARIES)
    folder = cache / "micropython" / names
    if all((folder / library.proof).is_file() for library in LIBRARIES):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as work:
        whole = Path(work) / "whole"
        whole.mkdir()
        for library in LIBRARIES:
            _fetch(library, Path(work) / library.project, whole)
        _publish(whole, folder)
    return folder


def _publish(whole: Path, folder: Path) -> None:
    try:
        whole.rename(folder)
    except OSError:
        if not all((folder / library.proof).is_file() for library in LIBRARIES):
            raise LibraryError(f"{folder} holds something else: remove it") from None
        # another process was first, with the same files


def _fetch(library: Library, work: Path, whole: Path) -> None:
    """Download, check and unpack one archive, and move its modules into `whole`."""
    from unearth import PackageFinder  # noqa: PLC0415 - the simulator's extra may not be installed

    index = index_url()
    wanted = {"sha256": [library.sha256]}
    requirement = f"{library.project}=={library.version}"
    try:
        finder = PackageFinder(index_urls=[index] if index else ())
        best = finder.find_best_match(requirement).best
        unpacked = finder.download_and_unpack(best.link, work, hashes=wanted) if best else None
    except Exception as error:  # unearth lets its HTTP library's errors through
        raise LibraryError(
            f"{requirement} could not be fetched ({type(error).__name__}): the virtual camera needs it once. "
            "Check the network, or set PIP_INDEX_URL to an index that has it"
        ) from error
    if unpacked is None:
        raise LibraryError(f"{requirement} is not in {_shown(index) if index else 'the default package index'}")
    top = Path(library.proof).parts[0]
    if not (unpacked / library.proof).is_file():
        raise LibraryError(f"{requirement} does not hold {library.proof}")
    shutil.move(unpacked / top, whole / top)


def index_url() -> str | None:
    """Return the package index in use here: pip's variable, pip's configuration, or None for the usual one."""
    given = os.environ.get("PIP_INDEX_URL")
    if given:
        return given
    for command in ([sys.executable, "-m", "pip"], ["pip"]):
        try:
            answer = subprocess.run(  # noqa: S603 - fixed words
                [*command, "config", "get", "global.index-url"],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0 and answer.stdout.strip():
            return answer.stdout.strip()
    return None


def _shown(url: str) -> str:
    """Return a URL without the user and password that it may carry."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
