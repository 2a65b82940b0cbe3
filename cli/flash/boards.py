"""The boards that can be flashed: the modules in `firmware/boards`, and which image of MicroPython each wants.

The images are those of cnadler86/micropython-camera-API: an archive `mpy_cam-VERSION-IMAGE.zip` for each, with a
`firmware.bin` in it. docs/flashing.md has the whole story.
"""

import runpy
from dataclasses import dataclass
from typing import Any, Final

from cli.flash.errors import FlashError
from simulator.firmware import FIRMWARE

OLDEST: Final = (1, 26)
"""The oldest MicroPython that the firmware runs on."""


_GENERIC: Final = {"esp32": "ESP32_GENERIC-SPIRAM", "esp32s3": "ESP32_GENERIC_S3-SPIRAM_OCT"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image of MicroPython with the camera's driver: its name in the releases, and the chip that it is for."""

    name: str
    chip: str

    def esptool(self, port: str) -> str:
        """Return the command that puts it on a board; an ESP32 starts at 0x1000 of its flash, the later ones at 0."""
        offset = "0x1000" if self.chip == "esp32" else "0x0"
        return f"esptool --chip {self.chip} --port {port} write-flash {offset} firmware.bin"

    def how_to(self, port: str) -> str:
        """Return what to do to have it on a board."""
        return (
            f"take mpy_cam-VERSION-{self.name}.zip (MicroPython 1.26 or newer) from the releases of "
            f"cnadler86/micropython-camera-API, unpack it, and put it on the board with\n"
            f"  {self.esptool(port)}\n"
            "  (docs/flashing.md tells it step by step)"
        )


@dataclass(frozen=True, slots=True)
class Board:
    """A board and its profile, as the firmware has it."""

    name: str
    profile: dict[str, Any]

    @property
    def has_oled(self) -> bool:
        """Whether there is a display, which wants a driver."""
        return bool(self.profile.get("oled"))

    @property
    def image(self) -> Image:
        """What MicroPython it wants; a board that names none, any image for its chip with PSRAM."""
        chip = self.profile.get("chip") or "esp32"
        return Image(self.profile.get("image") or _GENERIC.get(chip, ""), chip)

    def is_other_chip(self, machine: str) -> bool:
        """Whether `machine`, MicroPython's words for where it runs, names a chip that this board doesn't have."""
        chip = machine.lower().rpartition(" with ")[2].replace("-", "").strip()
        return "chip" in self.profile and chip.startswith("esp32") and chip != self.image.chip


VIRTUAL: Final = "sim"
"""The board of the virtual cameras, which is none that one could buy."""


def names() -> list[str]:
    """Return the names of all boards, as their owners write them."""
    modules = (path.stem for path in (FIRMWARE / "boards").glob("*.py") if path.stem != "__init__")
    return sorted(module.replace("_", "-") for module in modules)


def load(name: str) -> Board:
    """Return a board.

    Raises:
        FlashError: there is none of that name.
    """
    if name.replace("_", "-") not in names():
        real = [one for one in names() if one != VIRTUAL]
        raise FlashError(f"there is no board {name!r}: take one of {', '.join(real)}")
    path = FIRMWARE / "boards" / f"{name.replace('-', '_')}.py"
    profile: dict[str, Any] = runpy.run_path(str(path))["PROFILE"]
    return Board(profile["name"], profile)
