"""Runs the firmware's cases on MicroPython, one process each."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.available import micropython, why_not
from simulator.camera import HARDWARE
from simulator.errors import LibraryError
from simulator.firmware import FIRMWARE
from simulator.libraries import ensure_libraries

REPOSITORY = Path(__file__).parents[2]
CASES = Path(__file__).parent / "on_micropython"
HEAP = "2M"
LARGER_HEAPS = {
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


@pytest.fixture
def run_case(libraries: Path, tmp_path: Path) -> RunCase:
    """Run one case in an empty folder, and return what it printed."""

    def run(module: str, case: str, *arguments: object, timeout_s: int = _TIMEOUT_S) -> str:
        work = tmp_path / "work"
        work.mkdir()
        command = micropython(
            "-X", f"heapsize={LARGER_HEAPS.get(module, HEAP)}", str(CASES / "harness.py"),
            str(FIRMWARE), str(HARDWARE), str(libraries), str(timeout_s // 2), module, case,
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
