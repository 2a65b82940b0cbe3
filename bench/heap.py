"""MicroPython's heap on a camera: the firmware as it is flashed, compiled, on the unix port.

Bytes are as counted there, where a word has 8 bytes; on an ESP32 it has 4. Objects are up to twice as large here, and
bytecode is the same size in both: so what an ESP32 needs lies between half of `bytes` and `bytes` (two thirds, says
`README.md`), and only the latter is held against the budget. `bench/heap_on_camera.py` is the part that MicroPython
runs.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench import photos
from simulator.available import micropython
from simulator.bundle import build, compile_module
from simulator.camera import HARDWARE
from simulator.firmware import device_files
from simulator.libraries import default_cache, ensure_libraries

BUDGET_KB: Final = 100
_HEAP: Final = "heapsize=8M"  # a virtual camera's; far from full, so that nothing is collected unasked
_RUN_S: Final = 60
_SECRETS: Final = {
    "camera": "bench",
    "token": "a" * 32,
    "board": "sim",
    "wifi": {"ssid": "simulated", "password": ""},
    "mqtt": {"host": "127.0.0.1", "port": 1},
    "ftp": {"host": "127.0.0.1", "port": 1},
}
_NOTE: Final = "8-byte words: half of it is the least for an ESP32's 4-byte words, all of it the most"


def run() -> Iterator[dict[str, Any]]:
    """Yield the heap in use after the imports, with the app made, and at the most while a photo is taken."""
    with tempfile.TemporaryDirectory(prefix="aperture-heap-") as work:
        for what, counted in _measure(Path(work)).items():
            yield {
                "what": what,
                "bytes": counted,
                "kb": round(counted / 1000, 1),
                "half_kb": round(counted / 2000, 1),
                "budget": BUDGET_KB,
                "note": _NOTE,
            }


def _measure(work: Path) -> dict[str, int]:
    """Lay a camera out below `work`, run the script on it, and return what it counted."""
    flash = work / "flash"
    for place, source in device_files(build(work / "bundles")).items():
        target = flash / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (flash / "secrets.json").write_text(json.dumps(_SECRETS))
    libraries, hardware = work / "libraries", work / "hardware"
    _compile(ensure_libraries(default_cache()), libraries)
    _compile(HARDWARE, hardware)
    state, frame = work / "state", work / "frame.jpg"
    state.mkdir()
    frame.write_bytes(photos.make(1)[0].data)
    script = Path(__file__).with_name("heap_on_camera.py")
    done = subprocess.run(
        micropython("-X", _HEAP, str(script), str(flash), str(hardware), str(libraries), str(state), str(frame)),
        cwd=work,
        env={"PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the firmware ended with {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _compile(source: Path, target: Path) -> None:
    for path in source.rglob("*.py"):
        place = path.relative_to(source)
        compiled = target / place.with_suffix(".mpy")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        compiled.write_bytes(compile_module(place.as_posix(), path.read_bytes()))
