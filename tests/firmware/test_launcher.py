"""The launcher on MicroPython: each run is one boot of a camera whose two slots hold the smallest firmware there is."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from simulator.available import micropython
from simulator.camera import HARDWARE
from simulator.firmware import FIRMWARE, device_files, digest_of

RESET = 76
BOOTED = 7  # what the firmware in these slots ends with
_TIMEOUT_S = 30

GOOD = """
import sys
class App:
    async def run(self):
        print("runs", "{slot}")
        sys.exit(7)
"""
CONFIRMS = """
import sys
class App:
    async def run(self):
        sys.modules.pop("aa")
        sys.path.pop(0)
        sys.path.insert(0, "/real")
        sys.path.append("{place}")
        from aa import slots
        slots.confirm()
        sys.exit(7)
"""
FAILS_AT_IMPORT = "import nothing_of_that_name\n"
NO_START = """
class App:
    def __init__(self):
        raise ValueError("secrets are missing")
"""
FAILS_RUNNING = """
class App:
    async def run(self):
        raise OSError(5)
"""
HANGS = """
import asyncio
class App:
    async def run(self):
        while True:
            await asyncio.sleep_ms(10)
"""
FINISHES = """
import asyncio
import machine
class App:
    def __init__(self):
        self.power = self
    async def start_anew(self):
        await asyncio.sleep_ms(300)
        print("photo written")
        machine.reset()
    async def run(self):
        await asyncio.sleep_ms(60_000)
"""
NEVER_DONE = FINISHES.replace("sleep_ms(300)", "sleep_ms(50_000)")
WHOLE = ("aa", "boards", "bundle.json")


class Camera:
    """A camera's flash, and its power button."""

    def __init__(self, flash: Path, libraries: Path) -> None:
        self.flash, self._libraries = flash, libraries
        self.state = flash.parent / "state"
        self.state.mkdir()
        flash.mkdir()
        launcher = (FIRMWARE / "main.py").read_text()
        # Five minutes of a trial, and ten seconds of a pause, are two tenths of a second here; a photo has 0.8 s.
        self.launcher(launcher.replace("300_000", "200").replace("10_000", "200").replace("600_000", "800"))
        for slot in "ab":
            self.fill(slot, GOOD)
        self.slots(None)

    def launcher(self, text: str) -> None:
        (self.flash / "main.py").write_text(text)

    def fill(self, slot: str, app: str) -> None:
        for folder in ("aa", "boards"):
            (self.flash / slot / folder).mkdir(parents=True, exist_ok=True)
        (self.flash / slot / "aa/__init__.py").write_text("")
        (self.flash / slot / "aa/app.py").write_text(app.replace("{slot}", slot).replace("{place}", "/" + slot))
        (self.flash / slot / "bundle.json").write_text("{}")

    def slots(self, trial: dict[str, object] | None, active: str = "a") -> None:
        (self.flash / "slots.json").write_text(json.dumps({"active": active, "trial": trial}))

    def read(self) -> dict[str, object]:
        return json.loads((self.flash / "slots.json").read_text())

    def boot(self) -> tuple[int, str]:
        """Run until it resets or ends. Returns (exit code, what it said)."""
        paths = (HARDWARE / "power_on.py", self.flash, HARDWARE, self._libraries, self.state)
        done = subprocess.run(
            [*micropython(), *map(str, paths)],
            env={"MICROPYPATH": f"{HARDWARE}:.frozen"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + done.stderr

    def runs(self) -> str:
        """Boot; return the slot that ran."""
        code, said = self.boot()
        assert code == BOOTED, said
        return said.rpartition("runs ")[2].strip()


@pytest.fixture
def camera(libraries: Path, tmp_path: Path) -> Camera:
    return Camera(tmp_path / "flash", libraries)


def test_the_active_slot_runs(camera):
    """Whichever it is; and nothing is written."""
    assert camera.runs() == "a"
    camera.slots(None, active="b")
    before = (camera.flash / "slots.json").stat().st_mtime_ns
    assert camera.runs() == "b"
    assert (camera.flash / "slots.json").stat().st_mtime_ns == before


def test_a_slots_file_cut_off_at_any_byte_leaves_a_camera_that_boots(camera):
    """Also one of nonsense; without it, slot `a` runs."""
    text = json.dumps({"active": "b", "trial": {"slot": "a", "boots": 1}})
    for said in [text[:size] for size in range(len(text))] + ["[]", "0", '{"active": "c", "trial": null}', "\0" * 40]:
        (camera.flash / "slots.json").write_text(said)
        assert camera.runs() == "a", said
    (camera.flash / "slots.json").unlink()
    assert camera.runs() == "a"


def test_between_fats_two_steps_of_a_rename_the_new_file_counts(camera):
    """The old one is gone by then."""
    (camera.flash / "slots.json").rename(camera.flash / "slots.json.tmp")
    camera.fill("a", FAILS_AT_IMPORT)
    (camera.flash / "slots.json.tmp").write_text(json.dumps({"active": "b", "trial": None}))
    assert camera.runs() == "b"


@pytest.mark.parametrize("left", [None, "", '{"active": "b", "tri'])
def test_while_the_file_is_mended_its_copy_counts(camera, left):
    """The old ones are gone by then, and the new one is not all there yet."""
    (camera.flash / "slots.json").rename(camera.flash / "slots.json.new")
    if left is not None:
        (camera.flash / "slots.json").write_text(left)
    camera.fill("a", FAILS_AT_IMPORT)
    (camera.flash / "slots.json.new").write_text(json.dumps({"active": "b", "trial": None}))
    assert camera.runs() == "b"


@pytest.mark.parametrize("missing", WHOLE)
def test_without_a_slots_file_the_slot_that_is_whole_runs(camera, missing):
    """A first, when both are."""
    (camera.flash / "slots.json").unlink()
    place = camera.flash / "a" / missing
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert camera.runs() == "b"


def test_an_active_slot_that_is_gone_is_stood_in_for(camera):
    """And when neither is whole, the active one is tried, over and over."""
    shutil.rmtree(camera.flash / "a")
    assert camera.runs() == "b"
    shutil.rmtree(camera.flash / "b")
    for _ in range(2):
        code, said = camera.boot()
        assert code == RESET
        assert "E camera does not start, slot a" in said


@pytest.mark.parametrize("app", [FAILS_AT_IMPORT, NO_START, FAILS_RUNNING])
def test_a_start_that_fails_says_why_and_is_tried_again(camera, app):
    """The active slot stays the active one: the other is older, and the fault may pass."""
    camera.fill("a", app)
    for _ in range(2):
        code, said = camera.boot()
        assert code == RESET
        assert "Traceback" in said
    camera.fill("a", GOOD)
    assert camera.runs() == "a"


@pytest.mark.parametrize("app", [FAILS_AT_IMPORT, NO_START, FAILS_RUNNING])
def test_a_trial_that_does_not_start_goes_back_at_once(camera, app):
    """One boot, and never again."""
    camera.fill("b", app)
    camera.slots({"slot": "b", "boots": 0})
    code, said = camera.boot()
    assert code == RESET
    assert "E new firmware fails, back to slot a: it does not start" in said
    assert camera.read() == {"active": "a", "trial": None}
    assert camera.runs() == "a"


def test_a_trial_that_nobody_confirms_has_two_boots(camera):
    """Whatever ended them: a power cut, a watchdog, a deep sleep."""
    camera.slots({"slot": "b", "boots": 0})
    assert camera.runs() == "b"
    assert camera.runs() == "b"
    assert camera.runs() == "a"
    assert camera.read() == {"active": "a", "trial": None}
    assert camera.runs() == "a"


def test_a_trial_that_reaches_nobody_is_reset_after_its_time(camera):
    """It runs, and would run for ever; after its second time the old firmware is back."""
    camera.fill("b", HANGS)
    camera.slots({"slot": "b", "boots": 0})
    assert camera.boot()[0] == RESET
    assert camera.boot()[0] == RESET
    assert camera.runs() == "a"


def test_the_end_of_a_trial_cuts_off_no_photo(camera):
    """What is being written down is finished first, within its time."""
    camera.fill("b", FINISHES)
    camera.slots({"slot": "b", "boots": 0})
    code, said = camera.boot()
    assert (code, said.count("photo written")) == (RESET, 1)
    camera.fill("b", NEVER_DONE)
    code, said = camera.boot()
    assert (code, said.count("photo written")) == (RESET, 0)


def test_a_confirmed_trial_stays(camera):
    """`aa/slots.py` of the slot on trial makes it the active one; in no trial it writes nothing."""
    (camera.flash / "real").mkdir()
    shutil.copytree(FIRMWARE / "aa", camera.flash / "real/aa")
    camera.fill("b", CONFIRMS)
    camera.slots({"slot": "b", "boots": 0})
    assert camera.boot()[0] == BOOTED
    assert camera.read() == {"active": "b", "trial": None}
    before = (camera.flash / "slots.json").stat().st_mtime_ns
    assert camera.boot()[0] == BOOTED
    assert (camera.flash / "slots.json").stat().st_mtime_ns == before


def test_a_trial_slot_that_is_half_there_is_not_booted(camera):
    """Its bundle.json is written last."""
    (camera.flash / "b/bundle.json").unlink()
    camera.slots({"slot": "b", "boots": 0})
    assert camera.runs() == "a"
    assert camera.read() == {"active": "a", "trial": None}


def test_a_boot_that_cannot_be_counted_is_none_of_a_trial(camera):
    """On flash that takes no more, a trial could go on for ever."""
    camera.slots({"slot": "b", "boots": 0})
    (camera.flash / "slots.json.tmp").mkdir()  # root writes anywhere, but not over a folder
    assert camera.runs() == "a"


def test_what_is_laid_on_a_camera_is_all_there_in_an_order_that_a_cut_survives():
    """The marker of the slot comes after its modules, and the file that makes it active comes last."""
    files = device_files()
    assert all(path.is_file() for path in files.values())
    places = list(files)
    assert {"/a/aa/app.py", "/a/boards/aa3.py", "/main.py"} < set(places)
    assert len([place for place in places if place.startswith("/a/aa/")]) == len(list(FIRMWARE.glob("aa/*.py")))
    assert places[-1] == "/slots.json"
    assert max(map(places.index, (place for place in places if place.startswith("/a/")))) == places.index(
        "/a/bundle.json"
    )
    assert json.loads(files["/slots.json"].read_text()) == {"active": "a", "trial": None}
    assert digest_of(files) != digest_of({**files, "/more": files["/main.py"]})


def test_the_launcher_is_small():
    """It can't be mended from afar."""
    lines = [line for line in (FIRMWARE / "main.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 80
