"""The power goes after any write to card or flash. On small FAT it is after every one of them, elsewhere of a sample.

`make soak` cuts after every write everywhere, and lets cameras live through more.
"""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "on_micropython" / "cases_cuts.py"
CASES = re.findall(r"^(?:async )?def (while_\w+)", SOURCE.read_text(), re.MULTILINE)
EVERY = {"fat12": 1, "fat16": 3, "fat32": 5, "littlefs": 12}
LONG = {"while_a_folder_grows": 5, "while_a_camera_lives": 8}
SEED = 20_261_122


def cases(*kinds):
    """Return (case, kind) for each; a folder of so few photos grows only where clusters are small."""
    small = ("fat12", "fat16")
    return [(case, kind) for case in CASES for kind in kinds if kind in small or case != "while_a_folder_grows"]


@pytest.mark.parametrize(("case", "kind"), cases("fat12", "fat16", "fat32", "littlefs"))
def test_no_photo_is_lost_at_a_sample_of_cuts(run_case, case, kind):
    run_case("cases_cuts", case, kind, EVERY[kind] * LONG.get(case, 1), SEED, timeout_s=90)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("case", "kind"), cases("fat12", "fat16", "fat32", "littlefs"))
def test_no_photo_is_lost_at_any_cut(run_case, case, kind):
    run_case("cases_cuts", case, kind, 1, SEED, timeout_s=3_500)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", ["fat12", "fat16", "fat32", "littlefs"])
@pytest.mark.parametrize("seed", range(5))
def test_a_camera_lives_through_cuts(run_case, kind, seed):
    run_case("cases_cuts", "while_a_camera_lives", kind, 2, seed, timeout_s=3_500)
