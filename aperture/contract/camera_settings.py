"""What `configure` may say: the settings that a camera has, and what each sensor narrows them to.

The camera checks again, for it alone knows its board; here is refused, at once and in words, what can't be. A test
holds these tables to the firmware's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aperture.contract.ids import ContractError

_DAY_MS: Final = 86_400_000


class SettingsRejectedError(ContractError):
    """A setting is none, or can't have that value; the text says what it may be."""


@dataclass(frozen=True, slots=True)
class Between:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def takes(self, value: object) -> bool:
        """Whether a setting may have this value."""
        return type(value) is int and self.least <= value <= self.most

    def __str__(self) -> str:
        """Say what it may be."""
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these words; sizes go from small to large."""

    words: tuple[str, ...]

    def takes(self, value: object) -> bool:
        """Whether a setting may have this value."""
        return value in self.words

    def __str__(self) -> str:
        """Say what it may be."""
        return "one of " + " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    def takes(self, value: object) -> bool:
        """Whether a setting may have this value."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        """Say what it may be."""
        return "true or false"


Limit = Between | OneOf | Switch

FRAME_SIZES: Final = (
    "QVGA", "CIF", "HVGA", "VGA", "SVGA", "XGA", "HD", "SXGA", "UXGA", "FHD", "QXGA", "QHD", "WQXGA", "QSXGA",
)  # fmt: skip

SETTINGS: Final[Mapping[str, Limit]] = {
    "frame_size": OneOf(FRAME_SIZES),
    "quality": Between(5, 100),
    "hmirror": Switch(),
    "vflip": Switch(),
    "brightness": Between(-4, 4),
    "contrast": Between(-4, 4),
    "saturation": Between(-4, 4),
    "exposure": Between(-5, 5),
    "white_balance": OneOf(("auto", "sunny", "cloudy", "office", "home")),
    "effect": OneOf(("none", "negative", "grayscale", "red", "green", "blue", "sepia")),
    "idle_timeout_ms": Between(0, 6 * _DAY_MS),
    "light_sleep": Switch(),
    "wake_every_ms": Between(0, 7 * _DAY_MS),
    "status_every_ms": Between(1_000, _DAY_MS),
    "display_off_ms": Between(0, _DAY_MS),
    "utc_offset_min": Between(-720, 840),
    "battery_mah": Between(0, 100_000),
    "battery_permille": Between(0, 20_000),
}


def _sensor(largest: str, *, brightness: int, contrast: int, saturation: int, exposure: int) -> Mapping[str, Limit]:
    return {
        "frame_size": OneOf(FRAME_SIZES[: FRAME_SIZES.index(largest) + 1]),
        "quality": Between(5, 93),
        "brightness": Between(-brightness, brightness),
        "contrast": Between(-contrast, contrast),
        "saturation": Between(-saturation, saturation),
        "exposure": Between(-exposure, exposure),
    }


SENSORS: Final[Mapping[str, Mapping[str, Limit]]] = {
    "OV2640": _sensor("UXGA", brightness=2, contrast=2, saturation=2, exposure=2),
    "OV3660": _sensor("QXGA", brightness=3, contrast=3, saturation=4, exposure=5),
    "OV5640": _sensor("QSXGA", brightness=3, contrast=3, saturation=4, exposure=5),
}


def check_config(config: Mapping[str, Any], *, sensor: str | None, told: Mapping[str, Any] | None) -> None:
    """Refuse what the camera would refuse, as far as that is known.

    Args:
        config: what is asked for.
        sensor: the camera's sensor, from its status; None when it never said.
        told: the settings that it said it has; None when it never said. A name that is in neither table is taken for
            one of a newer firmware when it is in here, or when the camera never told.

    Raises:
        SettingsRejectedError: with each setting that can't be, and what it may be.
    """
    wrong = [words for name, value in config.items() if (words := _wrong(name, value, sensor, told))]
    if wrong:
        raise SettingsRejectedError("; ".join(wrong))


def _wrong(name: str, value: object, sensor: str | None, told: Mapping[str, Any] | None) -> str | None:
    if name not in SETTINGS:
        return None if told is None or name in told else f"{name[:32]}: there is no such setting"
    narrow = SENSORS.get(sensor or "", {}).get(name)
    limit = narrow or SETTINGS[name]
    if limit.takes(value):
        return None
    return f"{name}: must be {limit}" + (f" ({sensor})" if narrow else "")
