"""The battery: what it has left where there is a divider to measure it, what a photo takes of it by estimate.

Without a divider nothing is known, and nothing is guessed. A divider on an ADC2 pin can be read only while the radio
is off: what was read then holds for some hours.
"""

import time

import machine

from aa import log

OK, LOW, CRITICAL = "ok", "low", "critical"
_CURVE = (  # mV of a Li-ion cell at rest, and what is left in percent
    (3270, 0),
    (3610, 5),
    (3690, 10),
    (3710, 15),
    (3730, 20),
    (3750, 25),
    (3770, 30),
    (3790, 35),
    (3800, 40),
    (3820, 45),
    (3840, 50),
    (3850, 55),
    (3870, 60),
    (3910, 65),
    (3950, 70),
    (3980, 75),
    (4020, 80),
    (4080, 85),
    (4110, 90),
    (4150, 95),
    (4200, 100),
)
_BELOW = {LOW: 15, CRITICAL: 3}  # at or below it is so
_AGAIN = {LOW: 20, CRITICAL: 8}  # above it is so no more
_SAMPLES = 9
_EVERY_MS = 5_000
_HOLDS_MS = 6 * 3_600_000
_MOST_SEND_MS = 30_000
_LEAST_MV = 2_500  # below, no cell is there: the pin is open


def percent_of(millivolts):
    """Return what a Li-ion cell of that voltage has left, 0 to 100, between the points of a curve."""
    low_mv, low = _CURVE[0]
    for high_mv, high in _CURVE:
        if millivolts < high_mv:
            if millivolts <= low_mv:
                return low
            return low + (millivolts - low_mv) * (high - low) // (high_mv - low_mv)
        low_mv, low = high_mv, high
    return low


class Battery:
    """`profile` is the board's: battery {pin, permille, fitted, before_wifi} or None, usb {pin, active} or None."""

    def __init__(self, profile, settings):
        self._profile = profile["battery"]
        self._settings = settings
        self._adc = None
        self._usb = profile["usb"]
        if self._profile:
            self._adc = machine.ADC(machine.Pin(self._profile["pin"]))
        if self._usb:
            self._usb_pin = machine.Pin(self._usb["pin"], machine.Pin.IN)
        self.millivolts = None
        self._read_ticks = None
        self._state = None
        self._suspected = False
        self.sample()

    @property
    def percent(self):
        """What is left, 0 to 100; None where nobody can know."""
        return None if self.millivolts is None else percent_of(self.millivolts)

    @property
    def on_usb(self):
        """Whether USB gives power; None where the board can't tell."""
        return self._usb_pin.value() == self._usb["active"] if self._usb else None

    @property
    def state(self):
        """How it is: "ok", "low" or "critical"; None where nobody can know. On USB it is "ok"."""
        self.sample()
        if self.millivolts is None:
            return None
        return OK if self.on_usb else self._state

    def sample(self):
        """Measure, unless that was done just now or can't be."""
        now = time.ticks_ms()
        age_ms = None if self._read_ticks is None else time.ticks_diff(now, self._read_ticks)
        if age_ms is not None and 0 <= age_ms < _EVERY_MS:
            return
        permille = self._settings["battery_permille"]
        try:
            millivolts = self._measure() * permille // 1000 if self._adc and permille else None
        except OSError:  # ADC2, and the radio is on
            if age_ms is None or 0 <= age_ms < _HOLDS_MS:
                return
            millivolts = None
        if millivolts is not None and millivolts < _LEAST_MV:
            millivolts = None
        self._read_ticks = now
        self.millivolts = millivolts
        self._judge()

    def _measure(self):
        """Return the pin's millivolts: the middle one of some samples, for one may come while the radio sends."""
        samples = sorted(self._adc.read_uv() for _ in range(_SAMPLES))
        return samples[_SAMPLES // 2] // 1000

    def _judge(self):
        """Set the state. It gets worse at once at the start, later only when two measurements in a row say so."""
        percent = self.percent
        if percent is None:
            self._state = None
            return
        state = OK
        for one in (LOW, CRITICAL):
            if percent <= (_AGAIN if self._is_at_least(one) else _BELOW)[one]:
                state = one
        worse = self._state is not None and (OK, LOW, CRITICAL).index(state) > (OK, LOW, CRITICAL).index(self._state)
        if worse and not self._suspected:
            self._suspected = True
            return
        self._suspected = False
        if state != self._state:
            log.info("battery", state=state, mv=self.millivolts, percent=percent)
        self._state = state

    def _is_at_least(self, state):
        return self._state == CRITICAL or self._state == state

    def telemetry(self):
        """Return what a status says of it; None where nobody knows."""
        self.sample()
        return {
            "battery_mv": self.millivolts,
            "battery_pct": self.percent,
            "battery_mah": self._settings["battery_mah"] or None,
        }


class ShotCost:
    """What a photo takes of the battery, by how long its parts last and what the board draws meanwhile.

    `draw_ma` is the board's {"camera", "send"} in mA. A mean of the last shots, the newer the weightier. Of a photo
    that woke the camera all counts, from the boot until it is sent; that it idles, or sleeps, is nobody's photo.
    """

    def __init__(self, draw_ma):
        self._draw_ma = draw_ma
        self._mean_uas = None

    def kept(self, entry, camera_ms, woke):
        """A photo is written down, for which the camera was on for so long; `woke`: the radio starts only for it."""
        entry.camera_ms = camera_ms
        entry.radio_ticks = time.ticks_ms() if woke else None

    def sent(self, entry):
        """A photo is handed over. One of before the last boot is not counted."""
        if entry.camera_ms is None:
            return
        send_ms = entry.send_ms
        if entry.radio_ticks is not None:
            send_ms = max(0, min(time.ticks_diff(time.ticks_ms(), entry.radio_ticks), _MOST_SEND_MS))
        uas = entry.camera_ms * self._draw_ma["camera"] + send_ms * self._draw_ma["send"]  # 1 mA for 1 ms is 1 µAs
        self._mean_uas = uas if self._mean_uas is None else (self._mean_uas * 7 + uas) // 8
        entry.camera_ms = None  # a resend is not another photo

    @property
    def uah(self):
        """The mean in µAh, at least 1; None before the first photo since boot."""
        return None if self._mean_uas is None else max(1, self._mean_uas // 3600)
