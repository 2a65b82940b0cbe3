"""Every case of the firmware that needs no server of CPython's, each in a MicroPython of its own."""

import re
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "on_micropython"
BY_OTHERS = {"cases_ftp_server", "cases_jpeg", "cases_tables", "cases_cuts"}  # they need a server, or arguments
GOLDEN = Path(__file__).parents[1] / "contract" / "golden"


def found() -> list[tuple[str, str, bool]]:
    """Return (module, case, whether it takes the golden files) of each public function in the case files."""
    cases = []
    for path in sorted(CASES.glob("cases_*.py")):
        if path.stem not in BY_OTHERS:
            for name, arguments in re.findall(r"^(?:async )?def ([a-z]\w+)\((.*)\):", path.read_text(), re.MULTILINE):
                cases.append((path.stem, name, arguments == "folder"))
    return cases


@pytest.mark.parametrize(("module", "case", "golden"), found(), ids=str)
def test_case(run_case, module, case, golden):
    run_case(module, case, *([GOLDEN] if golden else []))
