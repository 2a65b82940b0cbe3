"""Boards are data: what no wiring can be is found here, and not with a soldering iron."""

import copy
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.firmware import FIRMWARE

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in (FIRMWARE / "boards").glob("*.py") if path.stem != "__init__"}
PROFILES = {name: runpy.run_path(str(path))["PROFILE"] for name, path in FILES.items()}
KEYS = {
    "name", "chip", "image", "shutter", "camera", "sd", "oled", "battery", "usb", "led", "flash", "draw_ma",
    "watchdog_ms", "settings",
}  # fmt: skip
CAMERA_PINS = ("vsync_pin", "href_pin", "sda_pin", "scl_pin", "pclk_pin", "xclk_pin", "powerdown_pin", "reset_pin")
DRIVEN = {"sda_pin", "scl_pin", "xclk_pin", "powerdown_pin", "reset_pin"}
SD_PINS = ("sck", "cmd", "data", "miso", "mosi", "cs")

ESP32 = {
    # 6-11 are the flash's, 16 and 17 the PSRAM's, which a camera needs
    "pins": {0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 18, 19, 21, 22, 23, 25, 26, 27, *range(32, 40)},
    "input_only": set(range(34, 40)),
    "rtc": {0, 2, 4, 12, 13, 14, 15, 25, 26, 27, *range(32, 40)},
    "touch": {0, 2, 4, 12, 13, 14, 15, 27, 32, 33},
    "touch_wakes": True,
    "adc1": set(range(32, 40)),
    "adc2": {0, 2, 4, 12, 13, 14, 15, 25, 26, 27},
    "strapping": {0, 2, 5, 12, 15},
    "slot_pins": {1: {"cmd": 15, "sck": 14, "data": [2]}},
}
ESP32S3 = {
    # 22-25 do not exist, 26-32 are the flash's, 33-37 the octal PSRAM's; 19 and 20 are USB
    "pins": {*range(19), 21, *range(38, 49)},
    "input_only": set(),
    "rtc": set(range(22)),
    "touch": set(range(1, 15)),
    "touch_wakes": False,  # MicroPython can give a pad of this chip no threshold: see docs/boards.md
    "adc1": set(range(1, 11)),
    "adc2": set(range(11, 21)),
    "strapping": {0, 3, 45, 46},
    "slot_pins": {},
}
CHIPS = {"esp32": ESP32, "esp32s3": ESP32S3}


def uses(profile: dict[str, Any]) -> Iterator[tuple[str, int, bool]]:
    """Yield what a board uses: (what for, GPIO, whether the chip drives it)."""
    pins = profile["camera"]["pins"]
    yield from ((f"camera D{n}", pin, False) for n, pin in enumerate(pins.get("data_pins", [])))
    yield from ((f"camera {key[:-4]}", pins[key], key in DRIVEN) for key in CAMERA_PINS if pins.get(key, -1) >= 0)
    sd = profile["sd"]
    if sd:
        for key, value in {**CHIPS[profile["chip"]]["slot_pins"].get(sd["slot"], {}), **sd}.items():
            if key in SD_PINS:
                for n, pin in enumerate(value if isinstance(value, list) else [value]):
                    yield f"card {f'd{n}' if key == 'data' else key}", pin, key != "miso"
    if profile["oled"]:
        yield from ((f"OLED {key}", profile["oled"][key], True) for key in ("sda", "scl"))
    yield "shutter", profile["shutter"]["pin"], False
    for part in ("battery", "usb"):
        if profile[part]:
            yield part, profile[part]["pin"], False
    for part in ("led", "flash"):
        if profile[part]:
            yield part, profile[part]["pin"], True


def faults(profile: dict[str, Any], comments: str) -> list[str]:
    """Return what is wrong with a board, in words."""
    chip = CHIPS[profile["chip"]]
    found: list[str] = []
    taken: dict[int, str] = {}
    for what, pin, driven in uses(profile):
        if pin not in chip["pins"]:
            found.append(f"{what}: GPIO{pin} is none, or the module's own")
        if pin in taken:
            found.append(f"{what}: GPIO{pin} is {taken[pin]} already")
        taken[pin] = what
        if driven and pin in chip["input_only"]:
            found.append(f"{what}: GPIO{pin} is an input only")
        if pin in chip["strapping"] and not re.search(rf"GPIO{pin}\b", comments):
            found.append(f"{what}: no comment tells that GPIO{pin} is a strapping pin")
    return found + shutter_faults(profile["shutter"], chip) + battery_faults(profile["battery"], chip)


def shutter_faults(shutter: dict[str, Any], chip: dict[str, Any]) -> list[str]:
    pin, wake, found = shutter["pin"], shutter["wake"], []
    if shutter["kind"] == "touch":
        if pin not in chip["touch"]:
            found.append(f"shutter: GPIO{pin} has no touch pad")
        if (shutter["percent"] < 100) != (chip is ESP32):
            found.append("shutter: a touch reads lower on an ESP32, and higher on an S3")
    if wake == "touch" and not (shutter["kind"] == "touch" and chip["touch_wakes"]):
        found.append("wake: no touch pad that wakes this chip")
    if wake in {"ext0", "ext1"} and (shutter["kind"] != "button" or pin not in chip["rtc"]):
        found.append(f"wake: GPIO{pin} is no button on an RTC pin")
    if wake not in {"touch", "ext0", "ext1", None}:
        found.append("wake: touch, ext0, ext1 or None")
    return found


def battery_faults(battery: dict[str, Any] | None, chip: dict[str, Any]) -> list[str]:
    if battery is None:
        return []
    pin = battery["pin"]
    if pin in chip["adc2"] and not battery["before_wifi"]:
        return [f"battery: GPIO{pin} is ADC2, which the radio takes: before_wifi must be True"]
    return [] if pin in chip["adc1"] | chip["adc2"] else [f"battery: GPIO{pin} measures nothing"]


def comments_of(name: str) -> str:
    text = FILES[name].read_text()
    return text[: text.index("PROFILE =")] + "\n".join(re.findall(r"#.*", text))


@pytest.mark.parametrize("name", PROFILES)
def test_a_board_can_be_wired_as_it_says(name):
    assert faults(PROFILES[name], comments_of(name)) == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_board_says_all_there_is_to_say_and_nothing_else(name):
    """Each key is there: what a board lacks is None, not forgotten."""
    profile = PROFILES[name]
    assert set(profile) == KEYS
    assert profile["name"].replace("-", "_") == name
    assert profile["chip"] in CHIPS
    assert profile["draw_ma"]["send"] > profile["draw_ma"]["camera"] > 0
    assert set(profile["camera"]) == {"pins"}
    if name != "sim":
        assert set(profile["camera"]["pins"]) == {"data_pins", "xclk_freq", *CAMERA_PINS}
        assert len(profile["camera"]["pins"]["data_pins"]) == 8
        assert profile["image"]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda one: one["oled"].update(sda=4), "GPIO4 is camera D0 already"),
        (lambda one: one["oled"].update(sda=34), "GPIO34 is an input only"),
        (lambda one: one["oled"].update(scl=16), "GPIO16 is none"),
        (lambda one: one["oled"].update(scl=24), "GPIO24 is none"),
        (lambda one: one["oled"].update(scl=0), "no comment tells that GPIO0"),
        (lambda one: one["shutter"].update(pin=3), "GPIO3 has no touch pad"),
        (lambda one: one["shutter"].update(percent=130), "lower on an ESP32"),
        (lambda one: one["shutter"].update(kind="button"), "no touch pad that wakes"),
        (lambda one: one["shutter"].update(kind="button", pin=3, wake="ext0"), "GPIO3 is no button on an RTC pin"),
        (lambda one: one["shutter"].update(wake="ext0"), "is no button"),
        (lambda one: one["battery"].update(before_wifi=False), "ADC2"),
        (lambda one: one["battery"].update(pin=3), "measures nothing"),
        (lambda one: one.update(led={"pin": 14, "active": 1}), "GPIO14 is card sck already"),
    ],
)
def test_the_check_can_fail(break_it, says):
    """Each rule finds what it is for."""
    profile = copy.deepcopy(PROFILES["aa3"])
    break_it(profile)
    assert any(says in fault for fault in faults(profile, comments_of("aa3")))


def test_a_touch_pad_does_not_wake_an_s3():
    profile = copy.deepcopy(PROFILES["xiao_s3_sense"])
    profile["shutter"] = {"kind": "touch", "pin": 2, "percent": 130, "wake": "touch"}
    assert faults(profile, "") == ["wake: no touch pad that wakes this chip"]
    profile["shutter"]["wake"] = None
    assert faults(profile, "") == []


# -- docs/boards.md ----------------------------------------------------------------------------------------------------

DOCUMENT = ROOT / "docs/boards.md"


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"docs/boards.md has no section {heading!r}"
    return found[1]


@pytest.mark.parametrize("name", sorted(set(PROFILES) - {"sim"}))
def test_the_document_tells_each_pin_of_a_board_as_it_is(name):
    """The wiring table is the profile's, no row more and none less."""
    profile = PROFILES[name]
    text = section(profile["name"])
    rows = re.findall(r"^\| ([^|]+?) +\| (\d+) +\|", text, re.MULTILINE)
    assert {(what, int(pin)) for what, pin in rows} == {(what, pin) for what, pin, _ in uses(profile)}
    assert f"`{profile['image']}`" in text


def test_the_document_explains_each_key():
    """And each key in a key."""
    text = section("A new board is one file")
    keys = set(KEYS)
    for profile in PROFILES.values():
        for value in profile.values():
            keys |= set(value) if isinstance(value, dict) and value is not profile["settings"] else set()
        keys |= set(profile["camera"]["pins"]) - {"data_pins"}
    missing = sorted(key for key in keys - {"sda", "scl"} if f"`{key}`" not in text)
    assert missing == []


def test_the_document_has_the_table_of_sensors():
    """As `aa/sensors.py` has it."""
    source = (FIRMWARE / "aa/sensors.py").read_text().replace("from aa import log", "log = None")
    scope: dict[str, Any] = {}
    exec(compile(source, "sensors", "exec"), scope)
    text = section("Sensors")
    for name, able in scope["SENSORS"].items():
        low, high = able["quality"]
        levels = [f"±{able[key][1]}" for key in ("brightness", "contrast", "saturation", "exposure")]
        row = " | ".join([name, able["largest"], f"{low} to {high}", *levels, str(able["settle_frames"])])
        assert f"| {row} |" in re.sub(r" +\|", " |", text), row
