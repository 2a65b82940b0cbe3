"""How the command speaks: a line for each step, and for the copying a bar on a terminal, a line per file elsewhere."""

import sys
from typing import TextIO

_BAR = 24
_WIDTH = 79


class Display:
    """Speaks to `stream`: where JSON is asked for, that is standard error, and standard output has the JSON alone."""

    def __init__(self, *, json: bool) -> None:
        self._stream: TextIO = sys.stderr if json else sys.stdout
        self._bar = False

    def say(self, line: str) -> None:
        """Print a line."""
        if self._bar:
            print("\r" + " " * _WIDTH + "\r", end="", file=self._stream)
            self._bar = False
        print(line, file=self._stream, flush=True)

    def progress(self, done: int, total: int, name: str) -> None:
        """Tell that file number `done` of `total` is on the board."""
        width = len(str(total))
        if not self._stream.isatty():
            self.say(f"  {done:{width}}/{total}  {name}")
            return
        full = _BAR * done // total
        line = f"  [{'#' * full}{'-' * (_BAR - full)}] {done:{width}}/{total}  {name}"
        print("\r" + line[:_WIDTH].ljust(_WIDTH), end="", file=self._stream, flush=True)
        self._bar = True
        if done == total:
            print(file=self._stream)
            self._bar = False
