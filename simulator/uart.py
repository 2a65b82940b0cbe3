"""The serial console of a board: what the unix port's terminal does otherwise than a chip's UART is made good here.

On the chip Ctrl-C interrupts what runs; here it has to become a signal, and what is typed behind it must wait for the
prompt. A soft reset from the raw prompt leads to the raw prompt; here it is the start of another process.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Final

_RUNS: Final = b"boot: main.py"
_PROMPT: Final = b'Type "help()" for more information.\r\n'
_RAW: Final = b"raw REPL; CTRL-B to exit"
_BARE_LINE_END: Final = re.compile(rb"(?<!\r)\n")
_CTRL_A, _CTRL_C = b"\x01", b"\x03"
_LONGEST_WORDS: Final = 64
_MOST_TYPED: Final = 64 * 1024


class State(Enum):
    """What the chip does."""

    BOOTING = "booting"
    RUNNING = "running"
    PROMPT = "prompt"


class Uart:
    """Between a chip's terminal and a cable. `interrupt()` stops what runs; the other two take bytes."""

    def __init__(
        self,
        *,
        to_chip: Callable[[bytes], None],
        to_host: Callable[[bytes], None],
        interrupt: Callable[[], None],
    ) -> None:
        self._to_chip, self._to_host, self._interrupt = to_chip, to_host, interrupt
        self._state = State.BOOTING
        self._raw = False
        self._raw_wanted = False
        self._tail = b""  # of what the chip said, to find words in
        self._typed = b""  # until there is a prompt to take it
        self._last = b""

    def start(self, *, typed_stays: bool = False) -> None:
        """A new run of the chip begins; what was typed before is lost, unless it is to come after this start."""
        self._state = State.BOOTING
        self._raw = False
        self._tail = b""
        if not typed_stays:
            self._typed = b""

    def stop(self) -> None:
        """The chip's run is over: until the next one nobody takes what is typed."""
        self._state = State.BOOTING

    def soft_reset(self) -> bool:
        """Say on the cable that a soft reset comes; return whether the raw prompt comes after it, and not /main.py."""
        self._say(b"MPY: soft reboot\r\n")
        self._raw_wanted = self._raw
        return self._raw

    def from_host(self, data: bytes) -> None:
        """Take what was typed."""
        if self._state is State.PROMPT:
            self._to_chip(data)
            return
        _, interrupted, after = data.rpartition(_CTRL_C)
        if interrupted:
            self._typed = _CTRL_C + after
            if self._state is State.RUNNING:
                self._interrupt()
        else:
            self._typed = (self._typed + data)[-_MOST_TYPED:]

    def from_chip(self, data: bytes) -> None:
        """Take what the chip said."""
        self._tail += data  # all of it is looked at before the rest is cut: a whole start may come in one piece
        if not self._raw_wanted:
            self._say(data)
        if self._state is State.BOOTING and _RUNS in self._tail:
            self._state = State.RUNNING
            if self._typed.startswith(_CTRL_C):
                self._interrupt()
        if self._state is not State.PROMPT and _PROMPT in self._tail:
            self._reach_prompt()
        elif _RAW in self._tail:
            self._reach_raw_prompt()
        elif _PROMPT in self._tail:
            self._raw = False
            self._tail = b""
        self._tail = self._tail[-_LONGEST_WORDS:]

    def _reach_prompt(self) -> None:
        self._state = State.PROMPT
        self._tail = b""
        typed, self._typed = self._typed, b""
        self._to_chip((_CTRL_A if self._raw_wanted else b"") + typed)

    def _reach_raw_prompt(self) -> None:
        self._raw = True
        if self._raw_wanted:
            self._raw_wanted = False
            self._say(self._tail[self._tail.index(_RAW) :])
        self._tail = b""

    def _say(self, data: bytes) -> None:
        """Give each line the end that a chip's UART gives it."""
        text = _BARE_LINE_END.sub(b"\r\n", self._last + data)
        self._to_host(text[len(self._last) :])
        self._last = b"\r" if data.endswith(b"\r") else b""
