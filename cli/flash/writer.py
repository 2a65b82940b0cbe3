"""Does what a plan says to the board on the cable, and goes on by itself after a short loss of contact."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aperture.store import private_file
from cli.flash import boards, port, survey
from cli.flash.boards import Board
from cli.flash.display import Display
from cli.flash.errors import CableError, FlashError
from cli.flash.parcels import WRITTEN, pack
from cli.flash.plan import SECRETS_FILE, SLOTS_FILE, TEMPORARY, Plan
from cli.flash.remote import Remote
from cli.flash.survey import Survey

_BACK_S: Final = 10.0  # a board that restarts is back by then, one that was unplugged is not
_LOOK_S: Final = 0.2
_LET_GO_S: Final = 5.0
_REMOVED: Final = "removed "


class Writer:
    """The board on one port. `work` is a folder for files that are on their way."""

    def __init__(self, *, port: str, board: Board, display: Display, work: Path) -> None:
        self.copied: list[str] = []
        self.removed: list[str] = []
        self._port, self._board, self._display, self._work = port, board, display, work
        self._remote = Remote(port)
        self._held = False  # it was stopped by us, and does not run

    async def meet(self) -> Survey:
        """Stop what runs on the board and look at what it is.

        Raises:
            FlashError: it can't be a camera as it is; with what to do.
        """
        image = self._board.image
        self._held = True
        try:
            await asyncio.to_thread(port.wake, self._port, image)
        except FlashError:
            self._held = False
            raise
        self._remote = Remote(self._port)
        found = await survey.survey(self._remote)
        how_to = image.how_to(self._port)
        if self._board.is_other_chip(found.machine):
            raise FlashError(
                f"MicroPython says {found.machine!r}, which no {self._board.name} is: which --board is it?"
            )
        if found.version < boards.OLDEST:
            raise FlashError(f"its MicroPython {found.release} is too old: {how_to}")
        if not found.has_camera:
            raise FlashError(f"its MicroPython has no camera module, so it is the wrong image: {how_to}")
        return found

    async def meet_again(self) -> Survey:
        """The same after it was cut off: it may have restarted.

        Raises:
            CableError: it is gone for good.
        """
        deadline = time.monotonic() + _BACK_S
        while not port.is_there(self._port):
            if time.monotonic() > deadline:
                raise CableError(
                    f"the board on {self._port} was cut off in the middle. Plug it in again and run the same command, "
                    "which goes on where this one ended. Until then it has what it had before"
                )
            await asyncio.sleep(_LOOK_S)
        self._display.say("          the board was away for a moment: going on")
        return await self.meet()

    async def write(self, todo: Plan) -> None:
        """Copy the firmware to where it is not in use yet.

        Raises:
            CableError: the board was cut off.
            FlashFullError: there is no room, whatever it said before.
        """
        if not todo.copy:
            self._display.say(f"Firmware  all {todo.unchanged} files are there already")
            return
        already = f"; {todo.unchanged} more are there already" if todo.unchanged else ""
        self._display.say(f"Firmware  {len(todo.copy)} files, {-(-todo.size // 1024)} KiB{already}")
        copied = 0

        def on_line(line: str) -> None:
            nonlocal copied
            self._note_removed(line)
            if line.startswith(WRITTEN):
                copied += 1
                self.copied.append(line.removeprefix(WRITTEN).removesuffix(TEMPORARY))
                self._display.progress(copied, len(todo.copy), self.copied[-1])

        parcels = pack([(file.source, path) for file, path in todo.copy], self._work)
        await self._remote.run(["exec", _prepare(todo)], *(["run", str(script)] for script in parcels), on_line=on_line)

    async def finish(self, todo: Plan, secrets: dict[str, Any], found: Survey) -> None:
        """Write the secrets, then have the board put all of it in its place in one step.

        Raises:
            CableError: the board was cut off.
        """
        copies: list[tuple[Path, str]] = []
        rename = list(todo.rename)
        if secrets != found.secrets:
            copies.append(self._small_file(SECRETS_FILE, secrets))
            rename.insert(0, (SECRETS_FILE + TEMPORARY, SECRETS_FILE))
        if todo.switch:
            copies.append(self._small_file(SLOTS_FILE, {"active": todo.slot, "trial": None}))
            rename.append((SLOTS_FILE + TEMPORARY, SLOTS_FILE))
        if rename or todo.clean:
            parcels = (["run", str(script)] for script in pack(copies, self._work))
            await self._remote.run(*parcels, ["exec", _commit(rename, todo.clean)], on_line=self._note_removed)
        self._display.say(f"Secrets   {'written to the camera' if secrets != found.secrets else 'as they were'}")

    async def reset(self) -> None:
        """Have the board start anew."""
        await self._remote.run(["reset"])
        self._held = False

    async def let_go(self) -> None:
        """After a failure: have a board that we stopped run again what it had before, if that can be."""
        if self._held and port.is_there(self._port):
            with suppress(FlashError, TimeoutError):
                async with asyncio.timeout(_LET_GO_S):
                    await self.reset()

    def _note_removed(self, line: str) -> None:
        if line.startswith(_REMOVED):
            self.removed.append(line.removeprefix(_REMOVED))

    def _small_file(self, path: str, content: dict[str, Any]) -> tuple[Path, str]:
        source = self._work / path.lstrip("/")
        private_file.write(source, json.dumps(content))
        return source, path + TEMPORARY


def _prepare(todo: Plan) -> str:
    """Return what removes the files that would be in the way, and makes the folders."""
    return f"""
import os
for path in {todo.remove!r}:
    os.remove(path)
    print("{_REMOVED}" + path)
for folder in {todo.folders!r}:
    try:
        os.mkdir(folder)
    except OSError:
        os.stat(folder)
"""


def _commit(rename: list[tuple[str, str]], clean: list[str]) -> str:
    """Return what puts the new files in the place of the old ones, then removes what nobody needs any more."""
    return f"""
import os
for new, path in {rename!r}:
    os.rename(new, path)
for path in {clean!r}:
    os.remove(path)
    print("{_REMOVED}" + path)
for folder in {sorted({path.rpartition("/")[0] for path in clean if path.count("/") > 1}, reverse=True)!r}:
    try:
        os.rmdir(folder)
    except OSError:
        pass
if hasattr(os, "sync"):
    os.sync()
"""
