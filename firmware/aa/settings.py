"""What a `configure` command changes, and what holds over reboots."""

from aa import files, log
from aa.sensors import EFFECTS, FRAME_SIZES, WHITE_BALANCES

_RANGES = {
    "quality": (5, 100),
    "brightness": (-4, 4),
    "contrast": (-4, 4),
    "saturation": (-4, 4),
    "exposure": (-5, 5),
    "idle_timeout_ms": (0, 6 * 86_400_000),  # an ESP32's ticks tell no more than 6.2 days apart
    "wake_every_ms": (0, 7 * 86_400_000),
    "status_every_ms": (1_000, 86_400_000),
    "display_off_ms": (0, 86_400_000),  # after so long without news; 0: never
    "utc_offset_min": (-720, 840),  # the owner's clock, for times on the display; null: they are told as durations
    "battery_mah": (0, 100_000),  # what it holds; 0: nobody said
    "battery_permille": (0, 20_000),  # battery over pin, in thousandths; 0: no divider is fitted
}
_CHOICES = {"frame_size": FRAME_SIZES, "white_balance": WHITE_BALANCES, "effect": EFFECTS}
_SWITCHES = ("hmirror", "vflip", "light_sleep")  # light_sleep: between shots, instead of deep sleep, for a board on USB
_MAY_BE_UNKNOWN = ("utc_offset_min",)
_DEFAULTS = {
    "frame_size": "SVGA",
    "quality": 85,
    "hmirror": False,
    "vflip": False,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "exposure": 0,
    "white_balance": "auto",
    "effect": "none",
    "idle_timeout_ms": 0,
    "light_sleep": False,
    "wake_every_ms": 3_600_000,
    "status_every_ms": 60_000,
    "display_off_ms": 60_000,
    "utc_offset_min": None,
    "battery_mah": 0,
    "battery_permille": 0,
}


class BadSettings(Exception):
    """A secret is missing, or a setting has no such name or value; the text says which."""


def names():
    """Return what all settings may be, as JSON has it: key to [least, most], to choices, or to "switch"."""
    table = {key: list(limit) for key, limit in _RANGES.items()}  # type: dict[str, object]
    table.update({key: list(choices) for key, choices in _CHOICES.items()})
    table.update(dict.fromkeys(_SWITCHES, "switch"))
    return table


def check(key, value, limit=None, whose=""):
    """Return the value when the setting may have it; `limit` is tighter than usual, because of `whose`.

    Raises:
        BadSettings: it may not; the text says what it may.
    """
    of_whom = " (" + whose + ")" if whose else ""
    if key in _CHOICES:
        choices = limit or _CHOICES[key]
        if value in choices:
            return value
        raise BadSettings("{}: one of {}{}".format(key, " ".join(choices), of_whom))
    if key in _SWITCHES:
        if isinstance(value, bool):
            return value
        raise BadSettings(key + ": true or false")
    if key not in _RANGES:
        raise BadSettings("no setting " + str(key))
    least, most = limit or _RANGES[key]
    if value is None and key in _MAY_BE_UNKNOWN:
        return None
    if type(value) is not int or not least <= value <= most:
        raise BadSettings("{}: a whole number from {} to {}{}".format(key, least, most, of_whom))
    return value


class Settings:
    """The settings; read them as `settings["quality"]`.

    They come from the board's `defaults`, what the secrets `preset`, and the file at `path`, the latter winning.
    """

    def __init__(self, path, defaults, preset=None):
        self._path = path
        self._limits = {}
        self._values = dict(_DEFAULTS)
        self._values.update(defaults)
        for source in (preset if isinstance(preset, dict) else {}, files.read_json(path, {})):
            for key, value in source.items():
                try:
                    self._values[key] = check(key, value)
                except BadSettings as cause:  # of another version of the firmware
                    log.warning("setting left out", why=str(cause))

    def __getitem__(self, key):
        return self._values[key]

    def all(self):
        """Return all of them, as they are now in force."""
        return dict(self._values)

    def limit(self, whose, limits):
        """Take narrower limits, of `whose` hardware: key to (least, most), or to choices from small to large.

        What does not fit is brought to the nearest that does, for as long as this hardware is there.
        """
        for key, limit in limits.items():
            self._limits[key] = (limit, whose)
            try:
                check(key, self._values[key], limit, whose)
            except BadSettings as cause:
                fits = limit[-1] if key in _CHOICES else min(max(self._values[key], limit[0]), limit[1])
                self._values[key] = fits
                log.warning("setting brought within limits", key=key, now=fits, why=str(cause))

    def change(self, changes):
        """Take all of `changes`, or none; they hold across reboots. Returns what was there before.

        Raises:
            BadSettings: one of them is not possible.
            OSError: they can't be written down; none is taken.
        """
        checked = {key: check(key, value, *self._limits.get(key, ())) for key, value in changes.items()}
        if not checked:
            raise BadSettings("nothing to change")
        before = {key: self._values[key] for key in checked}
        values = dict(self._values)
        values.update(checked)
        files.write_json(self._path, values)
        self._values = values
        return before
