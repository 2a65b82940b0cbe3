"""The tour in docs/simulate.md, walked: each line is typed, each command run, and what it promises comes."""

import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from simulator.available import why_not

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(why_not() is not None, reason="no MicroPython for this machine"),
]
TOUR = (Path(__file__).parents[2] / "docs/simulate.md").read_text()
SECTION = re.compile(r"^\*\*(.+?)\.\*\*(.*?)(?=^\*\*|^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMES = {
    "press": "photo taken",
    "power cut": "mqtt up|wifi down|card",
    "power on": "mqtt up",
    "power off": r"\[without power\]",
    "screen": "└",
    "status": "queue ",
    "battery 3000": r"\[asleep\]",
    "aperture camera ask demo sleep next_wake_ms=4000": r"\[asleep\]",  # else what is asked next finds it awake
    "hang": "camera board=sim .*cause=watchdog",
}
"""What comes after a line was typed, as a regular expression for the console's next lines."""
REFUSED = {"aperture camera ask demo configure frame_size=HUGE"}
PROMISED = {
    "A sensor with faults": [r"labels=\['black'\]", "labels=.*'same'", "sensor name=OV5640"],
    "The queue": ["photo delivered"],
    "Sleep": [r"\[asleep\]", r"\[woken"],
    "Battery": ["photo delivered"],
}
"""What is said in a section at the latest soon after its end."""


class Terminal:
    """`aperture simulate demo`, typed into and read."""

    def __init__(self, demo) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "--data-dir", str(demo.data_dir), "simulate", "demo"],
            cwd=demo.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def type(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def comes(self, pattern: str, since: int, patience_s: float = 60) -> None:
        deadline = time.monotonic() + patience_s
        while not any(re.search(pattern, line) for line in self.lines[since:]):
            assert time.monotonic() < deadline, f"never {pattern!r}:\n" + "\n".join(self.lines[since:])
            time.sleep(0.05)

    def close(self) -> None:
        self.type("quit")
        assert self.process.wait(20) == 0
        self._reader.join(10)
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


@pytest.fixture
def terminal(aperture):
    demo = aperture("demo")
    demo.start()
    one = Terminal(demo)
    one.demo = demo
    one.comes("runs already", 0)
    yield one
    one.close()


def walk(terminal: Terminal, title: str, text: str) -> None:
    began = len(terminal.lines)
    for shell, block in BLOCK.findall(text.replace("next_wake_ms=20000", "next_wake_ms=4000")):  # nobody reads here
        for line in block.splitlines():
            since = len(terminal.lines)
            if shell and line.startswith("aperture "):
                done = terminal.demo.owner_runs(*shlex.split(line)[1:], timeout_s=120)
                assert done.returncode == (line in REFUSED), f"{title}: {line}\n{done.stdout}{done.stderr}"
            elif line.startswith("> "):
                terminal.type(line[2:])
            if line.removeprefix("> ") in COMES:
                terminal.comes(COMES[line.removeprefix("> ")], since)
    for pattern in PROMISED.get(title, []):
        terminal.comes(pattern, began)


def test_the_tour_can_be_walked(terminal):
    """From the first press to the last power cut, in the order of the page."""
    sections = SECTION.findall(TOUR)
    assert len(sections) >= 8
    for title, text in sections:
        walk(terminal, title, text)
    since = len(terminal.lines)
    terminal.type("press")
    terminal.comes("photo delivered", since)
