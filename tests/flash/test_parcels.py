"""The scripts that write files on a board, run by MicroPython as mpremote has it run them: one after the other."""

import subprocess

import pytest

from cli.flash.parcels import DAMAGED, WRITTEN, pack
from simulator.available import micropython, why_not

SIZES = (0, 1, 1024, 1025, 9_999)


@pytest.fixture
def files(tmp_path):
    """Files of several sizes, as (source, path on the board)."""
    for size in SIZES:
        (tmp_path / f"{size}.bin").write_bytes(bytes(at * at % 251 for at in range(size)))
    (tmp_path / "board").mkdir()
    return [(tmp_path / f"{size}.bin", str(tmp_path / f"board/{size}")) for size in SIZES]


def run(scripts, folder):
    if why_not():
        pytest.skip(why_not())
    (folder / "all.py").write_text("\n".join(script.read_text() for script in scripts))
    command = [*micropython(), str(folder / "all.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def test_files_arrive_as_they_were_sent(files, tmp_path):
    """Also one that is empty, and one that is spread over several scripts; each is told once it is whole."""
    said = run(pack(files, tmp_path), tmp_path)
    assert said.splitlines() == [WRITTEN + path for _, path in files]
    for source, path in files:
        assert (tmp_path / path).read_bytes() == source.read_bytes()


def test_what_was_damaged_on_the_way_is_not_taken_for_written(files, tmp_path):
    """The cable has no checksum of its own."""
    scripts = pack(files[-1:], tmp_path)
    text = scripts[1].read_text()
    at = text.index("more('") + 100
    scripts[1].write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    said = run(scripts, tmp_path)
    assert DAMAGED in said
    assert WRITTEN not in said
