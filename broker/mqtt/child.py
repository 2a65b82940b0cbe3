"""The broker's process: started, listened to, stopped."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import structlog

from broker.mqtt.engine import Engine
from broker.ration import Ration

log = structlog.get_logger(__name__)

_STOP_S: Final = 5.0
_TAIL_LINES: Final = 20
_LINE_BYTES: Final = 500
_LINES_PER_S: Final = 20
_SECRET = re.compile(r"\$(?:2[abxy]|7)\$\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Child:
    """One run of a broker. Make it with `start`."""

    def __init__(self, *, process: asyncio.subprocess.Process, is_alarming: Callable[[str], bool]) -> None:
        """Take over a process whose standard error is a pipe."""
        self._process = process
        self._is_alarming = is_alarming
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self._reading = asyncio.create_task(self._read(), name="mqtt broker's log")

    @classmethod
    async def start(cls, engine: Engine, *, inherit: int) -> Self:
        """Start the engine's program in its folder, on a leash.

        Args:
            engine: what to run.
            inherit: a descriptor that stays open in the child.
        """
        owner = "-" if engine.owner is None else f"{engine.owner.uid}:{engine.owner.gid}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("leash.py")),
            str(os.getpid()),
            owner,
            *engine.command,
            cwd=engine.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(inherit,),
            limit=64 * 1024,
            start_new_session=True,  # Ctrl-C is for us: the broker stays until the parts have said goodbye through it
        )
        return cls(process=process, is_alarming=engine.is_alarming)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The end of its log, without secrets."""
        return tuple(self._lines)

    async def wait(self) -> int:
        """Return its exit status once it has ended and all that it said is read."""
        status = await self._process.wait()
        await asyncio.wait({self._reading})
        return status

    def reload(self) -> None:
        """Have it read its accounts again. Only for a broker that serves: before, the signal would end it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End it: it may save what it has, and is killed when that takes more than 5 s."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self.wait(), _STOP_S)
        except TimeoutError:
            log.warning("mqtt broker did not stop: killed", pid=self.pid)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        stream = self._process.stderr
        ration = Ration(per_s=_LINES_PER_S)
        while stream is not None and not stream.at_eof():
            try:
                raw = await stream.readline()
            except ValueError:  # a line longer than the limit: the stream has dropped it
                continue
            line = _clean(raw)
            if not line:
                continue
            self._lines.append(line)
            if ration.allows():
                tell = log.warning if self._is_alarming(line) else log.debug
                tell("mqtt broker says", line=line, unsaid=ration.take_unsaid())


def _clean(raw: bytes) -> str:
    """Return a line without hashes, control characters (client ids are the client's choice) and excess."""
    text = _CONTROL.sub(" ", raw[:_LINE_BYTES].decode(errors="replace")).strip()
    return _SECRET.sub("[hash]", text)
