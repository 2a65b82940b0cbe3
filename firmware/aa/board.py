"""The chip and what is soldered to it: card, battery, temperature, why it started, how it sleeps."""

import gc

import machine
import vfs

from aa import files, log

FLASH_FOLDER = "/queue"
CARD = "/sd"
_CAUSES = (
    ("PWRON_RESET", "power_on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deepsleep"),
    ("SOFT_RESET", "soft"),
)


def load_profile(name):
    """Return the profile of a board.

    Raises:
        ImportError: there is no such board.
    """
    return getattr(__import__("boards." + name), name).PROFILE


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


class Board:
    """What `profile` says is there."""

    def __init__(self, profile):
        self.name = profile["name"]
        self._profile = profile
        self._battery = None
        if profile["battery"]:
            self._battery = machine.ADC(machine.Pin(profile["battery"]["pin"]))
        self._watchdog = None

    def mount_card(self):
        """Mount the card and return the folder for photos: on flash where there is no card, or a broken one."""
        profile = self._profile["sd"]
        if profile is None:
            return FLASH_FOLDER
        try:
            vfs.mount(machine.SDCard(**profile), CARD)
            return CARD + FLASH_FOLDER
        except OSError as cause:
            log.error("no card: photos wait on flash", why=log.words(cause))
            return FLASH_FOLDER

    def battery(self):
        """Return (mV, percent), or (None, None) where the board can't know."""
        if self._battery is None:
            return None, None
        profile = self._profile["battery"]
        millivolts = self._battery.read_uv() // 1000 * profile["permille"] // 1000
        span = profile["full_mv"] - profile["empty_mv"]
        percent = (millivolts - profile["empty_mv"]) * 100 // span
        return millivolts, max(0, min(100, percent))

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
        millivolts, percent = self.battery()
        return {
            "battery_mv": millivolts,
            "battery_pct": percent,
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
