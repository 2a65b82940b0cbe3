"""The chip and what is soldered to it: card, battery, temperature, why it started, how it sleeps."""

import gc

import machine
import vfs

from aa import files, log

CARD = "/sd"
_CAUSES = (
    ("PWRON_RESET", "power_on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deepsleep"),
    ("SOFT_RESET", "soft"),
)


def load_profile(name):
    """Return the profile of a board, by the name that its owner gives; `-` is `_` in the file's name.

    Raises:
        ImportError: there is no such board.
    """
    module = name.replace("-", "_")
    return getattr(__import__("boards." + module), module).PROFILE


def default_settings(profile):
    """Return the settings that a board starts with."""
    settings = dict(profile["settings"])
    battery = profile["battery"]
    if battery and battery["fitted"]:
        settings["battery_permille"] = battery["permille"]
    return settings


def limits(profile):
    """Return what a board's settings may be, as `Settings.limit` wants it."""
    return {} if profile["battery"] else {"battery_permille": (0, 0)}


def reset_cause():
    """Return why the chip started, as a word, or None."""
    cause = machine.reset_cause()
    for constant, word in _CAUSES:
        if getattr(machine, constant, None) == cause:
            return word
    return None


def woken_by():
    """Return "press", "timer" or None: what ended a deep sleep."""
    return _wake_reason() if reset_cause() == "deepsleep" else None


def _wake_reason():
    return "timer" if machine.wake_reason() == getattr(machine, "TIMER_WAKE", None) else "press"


def _pins(key, value):
    """Return an argument of `SDCard`, whose pins want to be `Pin`s."""
    if key in ("slot", "width"):
        return value
    return [machine.Pin(one) for one in value] if isinstance(value, list) else machine.Pin(value)


class Board:
    """What `profile` says is there."""

    def __init__(self, profile):
        self.name = profile["name"]
        self._profile = profile
        self._watchdog = None
        self._led = self._pin_of("led")
        self._pin_of("flash")  # it would glow with the card's traffic

    def _pin_of(self, light):
        """Return the pin of an LED, switched off, or None."""
        profile = self._profile[light]
        return machine.Pin(profile["pin"], machine.Pin.OUT, value=1 - profile["active"]) if profile else None

    def light(self, on):
        """Light the status LED, where there is one: a photo is being taken."""
        if self._led is not None:
            self._led.value(on == bool(self._profile["led"]["active"]))

    @property
    def has_slot(self):
        """Whether a card can be put in."""
        return self._profile["sd"] is not None

    def mount_card(self):
        """Mount the card and return its folder, or None where there is no card, or a broken one."""
        profile = self._profile["sd"]
        if profile is None:
            return None
        try:
            vfs.mount(machine.SDCard(**{key: _pins(key, value) for key, value in profile.items()}), CARD)
            return CARD
        except OSError as cause:
            log.error("no card: photos wait on flash until one is put in, at the next start", why=log.words(cause))
            return None

    def temperature_c(self):
        """Return the chip's temperature, or None."""
        try:
            import esp32

            if hasattr(esp32, "mcu_temperature"):
                return int(esp32.mcu_temperature())
            return (esp32.raw_temperature() - 32) * 5 // 9  # the first ESP32 measures Fahrenheit
        except (ImportError, AttributeError, OSError):
            return None

    def telemetry(self, folder):
        """Return what the board knows of itself for a status."""
        return {
            "heap_free": gc.mem_free(),
            "sd_free_kb": files.free_kb(folder) if folder.startswith(CARD) else None,
            "temperature_c": self.temperature_c(),
            "board": self.name,
            "reset_cause": reset_cause(),
        }

    def start_watchdog(self):
        """From now on, a firmware that hangs is reset."""
        if self._profile["watchdog_ms"]:
            self._watchdog = machine.WDT(timeout=self._profile["watchdog_ms"])

    def feed_watchdog(self):
        """Say that all is well."""
        if self._watchdog is not None:
            self._watchdog.feed()

    def deep_sleep(self, wake_ms):
        """Sleep until the armed shutter is pressed, or `wake_ms` have passed unless that is 0. Does not return."""
        if wake_ms:
            machine.deepsleep(wake_ms)
        machine.deepsleep()

    def light_sleep(self, wake_ms):
        """Stop the chip until the armed shutter is pressed, or `wake_ms` have passed. Returns "press" or "timer"."""
        if wake_ms:
            machine.lightsleep(wake_ms)
        else:
            machine.lightsleep()
        return _wake_reason()
