"""The Wi-Fi is asked for once, in a way that nobody reads over a shoulder, and given to the next camera."""

import asyncio
import fcntl
import json
import os
import pty
import stat
import sys
import termios
from contextlib import suppress

import pytest

pytestmark = pytest.mark.timeout(180)

SECRET = "a-password-of-mine"
BASE = ("--board", "sim", "--host", "127.0.0.1", "--no-wait")


class Terminal:
    """The command on a terminal, with somebody at its keyboard."""

    def __init__(self, server, *arguments: str) -> None:
        self._server, self._arguments = server, arguments
        self.shown = ""

    async def __aenter__(self):
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            "flash",
            *self._arguments,
            cwd=self._server.folder,
            env=self._server.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        os.close(theirs)
        return self

    async def __aexit__(self, *_):
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        os.close(self._ours)

    def _look(self) -> None:
        with suppress(BlockingIOError, OSError):
            while data := os.read(self._ours, 4096):
                self.shown += data.decode()

    async def says(self, words: str) -> None:
        async with asyncio.timeout(60):
            while words not in self.shown:
                self._look()
                await asyncio.sleep(0.01)

    def type(self, line: str) -> None:
        self.press(line + "\n")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    async def ends(self) -> int:
        async with asyncio.timeout(60):
            while self._process.returncode is None:
                self._look()
                await asyncio.sleep(0.01)
        self._look()
        return self._process.returncode


async def test_it_is_asked_once_without_showing_the_password_and_kept_for_the_next_camera(server, flashed):
    """After a yes it is in a private file; another board is flashed without a question; a bar shows the progress."""
    board = await flashed(lambda flash: [(flash / name).unlink() for name in ("secrets.json", "main.py")])
    try:
        async with Terminal(server, str(board.port), "--camera", "asked", *BASE) as terminal:
            await terminal.says("name (SSID):")
            terminal.type("my net")
            await terminal.says("Password of my net")
            terminal.type(SECRET)
            await terminal.says("Remember it")
            terminal.type("")
            assert await terminal.ends() == 0, terminal.shown
        assert SECRET not in terminal.shown
        assert "[####" in terminal.shown, "a bar"
        wifi = {"ssid": "my net", "password": SECRET}
        assert json.loads((board.flash / "secrets.json").read_text())["wifi"] == wifi
        kept = server.data_dir / "wifi.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        (board.flash / "secrets.json").unlink()
        run = await server.flash(str(board.port), "--camera", "next", *BASE)
        assert "my net, as last time" in await run.ends()
        assert json.loads((board.flash / "secrets.json").read_text())["wifi"] == wifi
    finally:
        (server.data_dir / "wifi.json").unlink(missing_ok=True)


async def test_after_a_no_it_is_not_kept(server, flashed):
    board = await flashed()
    async with Terminal(server, str(board.port), "--camera", "forgetful", *BASE, "--wifi", "my net") as terminal:
        await terminal.says("Password of my net")
        terminal.type(SECRET)
        await terminal.says("Remember it")
        terminal.type("n")
        assert await terminal.ends() == 0, terminal.shown
    assert not (server.data_dir / "wifi.json").exists()


async def test_ctrl_c_at_the_question_changes_nothing_and_the_camera_goes_on(server, flashed, until):
    """It was stopped to be looked at: it runs again what it had."""
    board = await flashed()
    await board.power_off()
    (board.flash / "secrets.json").rename(board.flash / "kept.json")
    board.power_on()
    async with Terminal(server, str(board.port), "--camera", "nobody", *BASE) as terminal:
        await terminal.says("name (SSID):")
        (board.flash / "kept.json").rename(board.flash / "secrets.json")
        before = server.cli("camera", "show", "front")["seen_at_ms"]
        terminal.press("\x03")
        assert await terminal.ends() == 1
        assert "nothing was changed" in terminal.shown
    await until(lambda: server.cli("camera", "show", "front")["seen_at_ms"] != before)
    assert "nobody" not in {camera["camera"] for camera in server.cli("camera", "list")}


async def test_the_password_may_come_from_a_file(server, flashed, tmp_path):
    (tmp_path / "password").write_text("from-a-file\n")
    board = await flashed()
    arguments = ("--camera", "front", *BASE, "--wifi", "home", "--wifi-password-file", str(tmp_path / "password"))
    await (await server.flash(str(board.port), *arguments, "--country", "DE")).ends()
    secrets = json.loads((board.flash / "secrets.json").read_text())
    assert secrets["wifi"] == {"ssid": "home", "password": "from-a-file"}
    assert secrets["country"] == "DE"


async def test_what_can_be_no_password_is_refused(server, flashed):
    board = await flashed()
    arguments = ("--camera", "front", *BASE, "--wifi", "home")
    run = await server.flash(str(board.port), *arguments, APERTURE_WIFI_PASSWORD="short")
    assert "8 to 63 characters" in await run.ends(1)
