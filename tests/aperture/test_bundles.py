import json
import os

import pytest

from aperture import bundles

FILE = {"path": "aa/app.mpy", "bytes": 3, "sha256": "a" * 64}
GOOD = {"format": 1, "version": "1.0", "mpy": "6.3", "boards": ["aa3"], "files": [FILE]}


@pytest.fixture
def lay(tmp_path):
    def put(name, at_s=0, **more):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text(json.dumps(GOOD | more))
        os.utime(tmp_path / name / "bundle.json", (at_s, at_s))

    return put


def test_bundles_come_newest_first_and_what_is_none_is_passed_over(tmp_path, lay):
    """Also a folder that is being built, a file, and one whose bundle.json is from the future or broken."""
    lay("one", 1)
    lay("three", 3)
    lay("two", 2)
    lay(".building-x", 9)
    lay("future", 9, format=2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a-file").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/bundle.json").write_text("{")
    assert [bundle.name for bundle in bundles.every(tmp_path)] == ["three", "two", "one"]
    assert bundles.every(tmp_path / "nowhere") == []
    assert bundles.find(tmp_path, "two").built_at_ms == 2000


@pytest.mark.parametrize("name", ["", "newest", "..", "../x", "a/b", ".x", "x" * 65, "a b", "é"])
def test_a_name_is_never_a_path(tmp_path, name):
    """And `newest` is what a camera says that was not told."""
    assert not bundles.is_name(name)
    assert bundles.find(tmp_path, name) is None


@pytest.mark.parametrize(
    "change",
    [{"path": "../main.py"}, {"path": "/main.py"}, {"path": "aa/app.txt"}, {"path": "aa//x.py"}, {"bytes": -1},
     {"bytes": 300_000}, {"sha256": "A" * 64}, {"sha256": ""}],
)  # fmt: skip
def test_a_file_that_a_camera_would_refuse_makes_it_none(tmp_path, lay, change):
    lay("one", files=[FILE | change])
    assert bundles.find(tmp_path, "one") is None
