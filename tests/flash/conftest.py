"""A board on a cable (MicroPython's unix port behind a PTY), a server, and the command between them, all real."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from simulator.available import why_not
from simulator.camera import HARDWARE
from simulator.errors import LibraryError
from simulator.libraries import ensure_libraries
from simulator.serial_board import SerialBoard

CACHE = Path(__file__).parents[2] / ".cache"
SCRUBBED = {name: value for name, value in os.environ.items() if not name.startswith("APERTURE_")}
BASE = ("--camera", "front", "--board", "sim", "--host", "127.0.0.1", "--wifi", "home")
PASSWORD = "correct-horse-battery"
_PATIENCE_S = 90.0
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by our children too


@pytest.fixture(scope="session")
def libraries() -> Path:
    """The cache with the MicroPython libraries, in the place where the command looks for it."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    try:
        return ensure_libraries(CACHE / "aperture").parents[1]
    except LibraryError as error:
        pytest.skip(str(error))


@dataclass
class Run:
    """One run of the command: what it printed as it comes, and its exit status at the end."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def start(self) -> "Run":
        self._reader = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    async def says(self, pattern: str) -> str:
        """Wait for a line, and return it."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for line in self.lines:
                    if re.search(pattern, line):
                        return line
                assert self._reader is not None
                assert not self._reader.done(), f"it ended without {pattern!r}:\n{self.text}"
                await asyncio.sleep(0.01)

    async def ends(self, status: int = 0) -> str:
        """Wait for the end, and return all that was printed."""
        async with asyncio.timeout(_PATIENCE_S):
            assert self._reader is not None
            await self._reader
            assert await self.process.wait() == status, self.text
        assert "Traceback" not in self.text, self.text
        return self.text


class Server:
    """`aperture up` on loopback, and the commands on its data folder."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.flashed: Path | None = None
        ports = {
            f"APERTURE_{part}__{what}": value
            for part in ("MQTT", "FTP", "API")
            for what, value in (("HOST", "127.0.0.1"), ("PORT", "0"))
        }
        self.environment = {
            **SCRUBBED,
            **ports,
            "APERTURE_DATA_DIR": str(self.data_dir),
            **({"XDG_CACHE_HOME": str(cache)} if cache else {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def run(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "run.json").read_text())

    def start(self) -> None:
        with (self.folder / "up.out").open("ab") as out:
            self._process = subprocess.Popen(self._command("up"), stdout=out, stderr=out, **self._place())
        deadline = time.monotonic() + _PATIENCE_S
        while not (self.data_dir / "run.json").exists():
            assert self._process.poll() is None, (self.folder / "up.out").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def cli(self, *arguments: str) -> Any:
        done = subprocess.run(
            self._command(*arguments, "--json"), capture_output=True, text=True, timeout=60, check=True, **self._place()
        )
        return json.loads(done.stdout)

    async def flash(self, *arguments: str, **environment: str) -> Run:
        place = self._place({"APERTURE_WIFI_PASSWORD": PASSWORD, **environment})
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        return Run(await asyncio.create_subprocess_exec(*self._command("flash", *arguments), **pipes, **place)).start()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", *arguments]

    def _place(self, environment: dict[str, str] | None = None) -> dict[str, Any]:
        return {
            "cwd": self.folder,
            "env": {**self.environment, **(environment or {})},
            "stdin": subprocess.DEVNULL,
        }


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, libraries: Path) -> Iterator[Server]:
    """A server that runs. Tests share it: each names its cameras itself."""
    one = Server(tmp_path_factory.mktemp("server"), libraries)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until something is so."""

    async def wait(condition: Callable[[], object]) -> None:
        for _ in range(int(_PATIENCE_S * 10)):
            if condition():
                return
            await asyncio.sleep(0.1)
        raise AssertionError("it did not come to be so")

    return wait


@pytest.fixture
def no_server(tmp_path: Path) -> Server:
    """A data folder on which nothing runs."""
    return Server(tmp_path)


MakeBoard = Callable[..., Any]


@pytest.fixture
async def make_board(tmp_path: Path, libraries: Path) -> AsyncIterator[MakeBoard]:
    """Plug in a board with nothing but MicroPython on it; `prepare(flash folder)` may put something there before."""
    numbers = count()
    async with AsyncExitStack() as stack:

        async def make(prepare: Callable[[Path], None] = lambda _: None, **more: Any) -> SerialBoard:
            port = tmp_path / f"ttyUSB{next(numbers)}"
            folder = port.with_name(f"board on {port.name}")
            (folder / "flash").mkdir(parents=True)
            prepare(folder / "flash")
            board = SerialBoard(folder=folder, port=port, cache=libraries / "aperture", **more)
            await stack.enter_async_context(board)
            await board.say(f"wifi reach home={PASSWORD}")
            return board

        yield make


@pytest.fixture
def flashed(server: Server, make_board: MakeBoard) -> MakeBoard:
    """Plug in a board that was flashed as the camera `front`; `prepare(flash folder)` may change it before."""

    async def make(prepare: Callable[[Path], None] = lambda _: None, **more: Any) -> SerialBoard:
        def lay(flash: Path) -> None:
            if server.flashed is not None:
                shutil.copytree(server.flashed, flash, dirs_exist_ok=True)
                prepare(flash)

        board = await make_board(lay, **more)
        if server.flashed is None:
            await (await server.flash(str(board.port), *BASE)).ends()
            await board.power_off()
            server.flashed = Path(shutil.copytree(board.flash, server.folder / "flashed"))
            prepare(board.flash)
            board.power_on()
        return board

    return make


@pytest.fixture
def hardware(tmp_path: Path) -> Path:
    """A copy of the simulated hardware, to be changed."""
    return Path(shutil.copytree(HARDWARE, tmp_path / "hardware"))


@pytest.fixture
def bare_port(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Make a serial port with something else than MicroPython on it: it says these bytes, again and again."""
    import pty
    import threading
    import tty

    opened: list[int] = []
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def make(says: bytes) -> Path:
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        opened.extend((ours, theirs))

        def speak() -> None:
            while not ended.wait(0.05):
                with suppress(BlockingIOError):
                    os.read(ours, 4096)
                with suppress(BlockingIOError):
                    os.write(ours, says)

        threads.append(threading.Thread(target=speak))
        threads[-1].start()
        port = tmp_path / f"ttyUSB{90 + len(threads)}"
        port.symlink_to(os.ttyname(theirs))
        return port

    yield make
    ended.set()
    for thread in threads:
        thread.join()
    for end in opened:
        os.close(end)


@pytest.fixture(scope="session")
def server_class() -> type[Server]:
    """For a server of a test's own."""
    return Server
