"""What a `configure` command changes, and what holds over reboots."""

from aa import files

FRAME_SIZES = (
    "QVGA",
    "CIF",
    "HVGA",
    "VGA",
    "SVGA",
    "XGA",
    "HD",
    "SXGA",
    "UXGA",
    "FHD",
    "QXGA",
    "QHD",
    "WQXGA",
    "QSXGA",
)
_RANGES = {
    "quality": (5, 100),
    "idle_timeout_ms": (0, 6 * 86_400_000),  # an ESP32's ticks tell no more than 6.2 days apart
    "wake_every_ms": (0, 7 * 86_400_000),
    "status_every_ms": (1_000, 86_400_000),
}
_SWITCHES = ("light_sleep",)  # between shots, instead of deep sleep: for a board on USB


class BadSettings(Exception):
    """A secret is missing, or a setting has no such name or value; the text says which."""


def check(key, value):
    """Return the value when the setting may have it.

    Raises:
        BadSettings: it may not.
    """
    if key == "frame_size":
        if value in FRAME_SIZES:
            return value
        raise BadSettings("frame_size: one of " + " ".join(FRAME_SIZES))
    if key in _SWITCHES:
        if isinstance(value, bool):
            return value
        raise BadSettings(key + ": true or false")
    if key not in _RANGES:
        raise BadSettings("no setting " + str(key))
    least, most = _RANGES[key]
    if type(value) is not int or not least <= value <= most:
        raise BadSettings("{}: a whole number from {} to {}".format(key, least, most))
    return value


class Settings:
    """The settings, from the board's defaults and the file at `path`; read them as `settings["quality"]`."""

    def __init__(self, path, defaults):
        self._path = path
        self._values = {
            "frame_size": "SVGA",
            "quality": 85,
            "idle_timeout_ms": 0,
            "light_sleep": False,
            "wake_every_ms": 3_600_000,
            "status_every_ms": 60_000,
        }
        self._values.update(defaults)
        for key, value in files.read_json(path, {}).items():
            try:
                self._values[key] = check(key, value)
            except BadSettings:
                pass  # of another version of the firmware

    def __getitem__(self, key):
        return self._values[key]

    def all(self):
        """Return all of them, as they are now in force."""
        return dict(self._values)

    def change(self, changes):
        """Take all of `changes`, or none; they hold across reboots. Returns what was there before.

        Raises:
            BadSettings: one of them is not possible.
            OSError: they can't be written down; none is taken.
        """
        checked = {key: check(key, value) for key, value in changes.items()}
        if not checked:
            raise BadSettings("nothing to change")
        before = {key: self._values[key] for key in checked}
        values = dict(self._values)
        values.update(checked)
        files.write_json(self._path, values)
        self._values = values
        return before
