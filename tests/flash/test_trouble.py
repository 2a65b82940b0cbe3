"""What can be wrong, told in words with what to do; and a cable that is pulled at any moment."""

import asyncio
import json
import signal

import psutil
import pytest

from simulator.serial_board import SerialBoard

pytestmark = pytest.mark.timeout(240)

BASE = ("--camera", "front", "--board", "sim", "--host", "127.0.0.1", "--wifi", "home")


async def copied(folder, count):
    """Wait until so many modules are there. The cable's bytes go through this very loop: it can't see them late."""
    async with asyncio.timeout(60):
        while len(list(folder.rglob("*.mpy"))) < count:  # noqa: ASYNC110 - MicroPython writes them
            await asyncio.sleep(0.002)


def whole_slots(board: SerialBoard):
    return [slot for slot in "ab" if (board.flash / slot / "bundle.json").exists()]


async def test_a_wrong_port_is_told_with_the_ports_that_there_are(server, tmp_path):
    run = await server.flash(str(tmp_path / "ttyUSB7"), *BASE)
    said = await run.ends(1)
    assert "there is no port" in said
    assert "n/a" not in said, "a port without anything on it is no offer"
    run = await server.flash(str(tmp_path / "ttyUSB7"), "--camera", "front", "--board", "zz")
    said = await run.ends(1)
    assert "take one of aa3, ai-thinker" in said
    assert "sim" not in said
    (tmp_path / "file").touch()
    run = await server.flash(str(tmp_path / "file"), *BASE)
    assert "is no serial port" in await run.ends(1)


HEARD = {
    b"": "the board says nothing",
    bytes(range(128, 256)): "makes no sense",
    b"Hello from the Arduino sketch\r\n": "another program runs on it",
    b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n": "BOOT is pressed",
    b"invalid header: 0xffffffff\r\n": "its flash is empty",
    b"Brownout detector was triggered\r\n": "supply",
}


async def test_a_port_without_micropython_is_told_with_what_was_heard_and_the_image(server, bare_port):
    """Silence, noise, another program, the bootloader: each has its own sentence, and the way to the image."""
    base = ("--camera", "front", "--board", "aa3", "--host", "127.0.0.1")
    runs = [(await server.flash(str(bare_port(says)), *base), words) for says, words in HEARD.items()]
    for run, words in runs:
        said = await run.ends(1)
        assert words in said
        assert "mpy_cam-VERSION-WROVER_KIT.zip" in said
        assert "esptool --chip esp32 --port" in said
        assert "write-flash 0x1000 firmware.bin" in said


async def test_an_image_without_the_camera_is_told(server, make_board, hardware):
    """A stock image of MicroPython: what is missing, and which image has it."""
    (hardware / "camera.py").unlink()
    board = await make_board(hardware=hardware)
    said = await (await server.flash(str(board.port), *BASE)).ends(1)
    assert "no camera module" in said
    assert "mpy_cam-VERSION-" in said


@pytest.mark.parametrize(
    ("board_name", "version", "machine", "words"),
    [
        ("aa3", (1, 25, 0), "Generic ESP32 module with SPIRAM with ESP32", "1.25.0 is too old"),
        ("aa3", (1, 27, 0), "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "which no aa3 is"),
    ],
)
async def test_an_old_micropython_and_another_chip_are_told(
    server, make_board, hardware, board_name, version, machine, words
):
    boot = hardware / "chip_on.py"
    fake = f"""
class _Chip:
    implementation = ("micropython", {version!r}, {machine!r}, 2822)
    def __getattr__(self, name):
        return getattr(_sys, name)
class _Implementation(tuple):
    _machine, _mpy = {machine!r}, 2822
_sys = sys
_Chip.implementation = _Implementation(("micropython", {version!r}))
sys.modules["sys"] = _Chip()
"""
    boot.write_text(boot.read_text().replace("_root = _open_flash()", fake + "\n_root = _open_flash()"))
    board = await make_board(hardware=hardware)
    run = await server.flash(str(board.port), "--camera", "x", "--board", board_name, "--host", "127.0.0.1")
    assert words in await run.ends(1)


async def test_a_full_flash_is_told_before_anything_is_written(server, make_board):
    """On a real littlefs of 64 KiB, which is too small."""
    board = await make_board(flash_kb=64)
    said = await (await server.flash(str(board.port), *BASE)).ends(1)
    assert "flash is full" in said
    assert "KiB are free" in said


async def test_it_works_on_the_file_system_that_an_esp32_has(server, make_board):
    """littlefs in 512 KiB: flashed, started, online; and once more nothing is copied."""
    board = await make_board(flash_kb=512)
    base = ("--camera", "little", *BASE[2:])
    await (await server.flash(str(board.port), *base)).ends()
    assert "files are there already" in await (await server.flash(str(board.port), *base)).ends()


async def test_a_server_that_does_not_run_is_told_before_the_board_is_touched(no_server, tmp_path):
    run = await no_server.flash(str(tmp_path / "ttyUSB0"), *BASE)
    said = await run.ends(1)
    assert "no server runs here" not in said, "port 0: nobody knows where it will be"
    no_server.environment |= {"APERTURE_MQTT__PORT": "1", "APERTURE_FTP__PORT": "2"}
    run = await no_server.flash(str(tmp_path / "ttyUSB0"), *BASE)
    said = await run.ends(1)
    assert "no server runs here" in said
    assert "aperture up" in said
    assert "--no-wait" in said


async def test_an_address_that_no_camera_can_reach_is_told(server, tmp_path):
    run = await server.flash(str(tmp_path / "ttyUSB0"), "--camera", "front", "--board", "sim")
    assert "this machine alone" in await run.ends(1)


async def test_a_board_that_nobody_knows_is_told(server, tmp_path):
    run = await server.flash(str(tmp_path / "ttyUSB0"), "--camera", "front", "--board", "toaster")
    said = await run.ends(1)
    assert "no board 'toaster'" in said
    assert "aa3" in said


async def test_no_wifi_and_nobody_to_ask_is_told(server, make_board):
    board = await make_board()
    run = await server.flash(str(board.port), *BASE[:-2])
    said = await run.ends(1)
    assert "--wifi SSID" in said
    assert "--wifi-password-file" in said


async def pulled_from_a_camera(server, flashed):
    """The old firmware is left as it was; the next run copies only what was missing."""

    def age(flash):
        for path in (flash / "a/aa").iterdir():
            path.write_bytes(path.read_bytes() + b"\\0")  # an earlier version

    board = await flashed(age)
    run = await server.flash(str(board.port), *BASE)
    await copied(board.flash / "b", 20)
    board.unplug()
    said = await run.ends(1)
    assert "was cut off in the middle" in said
    assert "run the same command" in said
    assert whole_slots(board) == ["a"]
    assert json.loads((board.flash / "slots.json").read_text())["active"] == "a"
    board.plug()
    again = await (await server.flash(str(board.port), *BASE)).ends()
    assert "more are there already" in again
    assert "1/" in again
    assert "Online" in again
    assert whole_slots(board) == ["a", "b"]


async def pulled_from_a_new_board(server, make_board):
    """There is no launcher, so nothing starts by halves; the next run makes it whole."""
    board = await make_board()
    base = ("--camera", "fresh", *BASE[2:])
    run = await server.flash(str(board.port), *base)
    await copied(board.flash, 15)
    board.unplug()
    await board.power_off()
    await run.ends(1)
    assert not (board.flash / "main.py").exists()
    assert not (board.flash / "secrets.json").exists()
    assert "fresh" not in {camera["camera"] for camera in server.cli("camera", "list")}
    board.plug()
    board.power_on()
    assert "Online" in await (await server.flash(str(board.port), *base)).ends()


async def restarted(server, make_board):
    """A watchdog, or a shaky supply: the command goes on by itself."""
    board = await make_board()
    run = await server.flash(str(board.port), "--camera", "shaky", *BASE[2:])
    await copied(board.flash, 20)
    await board.power_off()
    board.power_on()
    said = await run.ends()
    assert "away for a moment: going on" in said
    assert "Online" in said


async def test_no_moment_is_a_bad_one_to_cut_a_board_off(server, flashed, make_board):
    """A cable that is pulled, and a board that restarts, in the middle of it. At once: each waits for ten seconds."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pulled_from_a_camera(server, flashed))
        tasks.create_task(pulled_from_a_new_board(server, make_board))
        tasks.create_task(restarted(server, make_board))


async def test_ctrl_c_in_the_middle_says_what_to_do_and_the_next_run_goes_on(server, make_board, until):
    """The board stands still meanwhile, so that it is in the middle, however busy this machine is."""
    board = await make_board()
    base = ("--camera", "patient", *BASE[2:])
    run = await server.flash(str(board.port), *base)
    await copied(board.flash, 10)
    chip = psutil.Process(board._process.pid)
    chip.suspend()
    (mpremote,) = psutil.Process(run.process.pid).children()
    run.process.send_signal(signal.SIGINT)
    await until(lambda: not mpremote.is_running())
    chip.resume()
    assert "Run the same command again" in await run.ends(1)
    again = await (await server.flash(str(board.port), *base)).ends()
    assert "more are there already" in again
    assert "Online" in again


STUCK = [
    # The board knows a password of `home`: what is given wins over it.
    (BASE, {"APERTURE_WIFI_PASSWORD": "another-password"}, "the Wi-Fi refuses its password"),
    ((*BASE[:-1], "nowhere"), {}, "it finds no Wi-Fi of its name"),
    ((*BASE[:5], "127.77.0.9"), {}, "nothing listens at the MQTT address"),
]


async def test_a_camera_that_does_not_come_online_is_told_with_the_stage(server, flashed):
    """The camera's own log, read over the cable, says how far it came: to which Wi-Fi, to which server."""
    runs = []
    for arguments, environment, words in STUCK:
        board = await flashed()
        runs.append((await server.flash(str(board.port), *arguments, "--timeout", "8", **environment), words))
    for run, words in runs:
        said = await run.ends(1)
        assert "is flashed, but not online within 8 s" in said
        assert words in said.rpartition("not online")[2]


async def test_firmware_that_does_not_start_is_told_with_its_own_words(server, flashed):
    """An error at the start is in the camera's log, below which module could not be found."""
    board = await flashed()
    (board.flash / "umqtt").mkdir()
    (board.flash / "umqtt/simple.py").write_text("raise MemoryError('a file of the owner in the way')")
    said = await (await server.flash(str(board.port), *BASE, "--timeout", "4")).ends(1)
    assert "its firmware does not start" in said
    assert "a file of the owner in the way" in said.rpartition("not online")[2]


async def test_ftp_that_does_not_work_is_told_although_the_camera_is_online(server, flashed):
    """MQTT is served at that address, FTP is not: photos would wait on the camera, and the owner would not know why."""

    async def relay(reader, writer):
        there = await asyncio.open_connection("127.0.0.1", server.run["mqtt"]["port"])

        async def pump(source, sink):
            while data := await source.read(4096):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer), return_exceptions=True)

    board = await flashed()
    serving = await asyncio.start_server(relay, "127.77.0.8", server.run["mqtt"]["port"])
    async with serving:
        run = await server.flash(str(board.port), "--camera", "front", "--board", "sim", "--host", "127.77.0.8")
        said = await run.ends()
        assert "Online" in said
        assert "FTP does not work for it yet" in said
        await board.power_off()
        serving.close()


async def test_a_camera_that_could_not_be_flashed_runs_on(server, flashed, until):
    """Whatever is wrong is found after the board was stopped: it is started again with what it has."""
    board = await flashed()
    before = server.cli("camera", "show", "front")["seen_at_ms"]
    run = await server.flash(str(board.port), *BASE[:-1], "x" * 40)
    assert "1 to 32 bytes" in await run.ends(1)
    await until(lambda: server.cli("camera", "show", "front")["seen_at_ms"] != before)


def test_what_is_not_installed_is_told(server):
    """mpremote and pyserial are an extra."""
    import subprocess
    import sys

    script = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name in ('serial', 'mpremote') else find(name, *more)\n"
        "from cli.main import main; main(['flash', '/dev/ttyUSB0', '--camera', 'x', '--board', 'aa3'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=server.folder
    )
    assert done.returncode == 1
    assert "pip install 'aperture-archive[flash]'" in done.stderr


async def test_it_can_be_tried_without_hardware(server, tmp_path, until):
    """`aperture simulate --cable` is a board to flash; its console pulls the cable and presses the shutter."""
    import sys

    port = tmp_path / "ttyUSB5"
    cable = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "simulate", "--cable", str(port),
        cwd=server.folder, env=server.environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        shown = ""
        while "Ctrl-C ends it" not in shown:
            shown += (await cable.stdout.readline()).decode()
        assert f"flash {port} --camera NAME --board sim" in shown
        run = await server.flash(str(port), "--camera", "tried", *BASE[2:-1], "simulated", "--dry-run")
        assert "would copy" in await run.ends()
        cable.stdin.write(b"cable out\n")
        await until(lambda: not port.is_symlink())
    finally:
        cable.send_signal(signal.SIGINT)
        assert await cable.wait() == 0


def test_a_start_that_comes_in_one_piece_can_be_interrupted():
    """The board's console: whatever the pieces that its output comes in, Ctrl-C stops what runs."""
    from simulator.uart import Uart

    interrupts: list[bool] = []
    typed: list[bytes] = []
    uart = Uart(to_chip=typed.append, to_host=lambda _: None, interrupt=lambda: interrupts.append(True))
    uart.start()
    uart.from_chip(b"rst:0x1\nboot: main.py\n" + b"E camera does not start\n" * 40)
    uart.from_host(b"\r\x03\r\x02")
    assert interrupts == [True]
    assert typed == []
    uart.from_chip(b'Type "help()" for more information.\r\n>>> ')
    assert typed == [b"\x03\r\x02"], "what was typed behind it waits for the prompt"
