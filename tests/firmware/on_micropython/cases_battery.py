"""What is said of the battery: what is measured, and nothing else."""

import machine

from aa import battery
from aa.battery import Battery, percent_of

_DIVIDER = {"pin": 35, "permille": 2000, "fitted": True, "before_wifi": False}


class Adc:
    """Gives `samples` in turn, in mV at the battery behind a divider by two; None is a read that fails."""

    samples = [4000]

    def __init__(self, pin):
        self.at = 0

    def read_uv(self):
        value = Adc.samples[self.at % len(Adc.samples)]
        self.at += 1
        if value is None:
            raise OSError(0x107)  # ESP_ERR_TIMEOUT: the radio has ADC2
        return value * 500


class Plug:
    """USB's pin."""

    IN = 0
    level = 0

    def __init__(self, number, mode=0):
        pass

    def value(self):
        return Plug.level


def _battery(divider=_DIVIDER, usb=None, permille=2000, mah=0):
    machine.ADC, machine.Pin = Adc, Plug
    battery._EVERY_MS = 0  # each look is a measurement
    return Battery({"battery": divider, "usb": usb}, {"battery_permille": permille, "battery_mah": mah})


def _at(millivolts, one, times=1):
    Adc.samples = [millivolts]
    for _ in range(times):
        state = one.state
    return state


def a_curve_of_whole_numbers_from_empty_to_full():
    assert [percent_of(mv) for mv in (0, 3000, 3270, 3610, 3840, 4200, 5000)] == [0, 0, 0, 5, 50, 100, 100]
    course = [percent_of(mv) for mv in range(3200, 4300)]
    assert course == sorted(course) and set(course) == set(range(101)), "no step is missing, none goes back"


def without_a_divider_nothing_is_known():
    Adc.samples = [4000]
    nothing = {"battery_mv": None, "battery_pct": None, "battery_mah": None}
    for divider, permille in ((None, 0), (None, 2000), (_DIVIDER, 0)):
        one = _battery(divider, permille=permille)
        assert one.telemetry() == nothing and one.state is None and one.percent is None and one.on_usb is None


def an_open_pin_is_no_battery():
    one = _battery()
    for millivolts in (0, 300, 2400):
        assert _at(millivolts, one) is None and one.telemetry()["battery_mv"] is None


def the_divider_is_calibrated_by_a_setting():
    Adc.samples = [4000]
    one = _battery(permille=2050, mah=1200)
    assert one.telemetry() == {"battery_mv": 4100, "battery_pct": 88, "battery_mah": 1200}
    one._settings["battery_permille"] = 1950
    assert one.telemetry()["battery_mv"] == 3900, "at once"


def a_sample_while_the_radio_sends_counts_for_nothing():
    Adc.samples = [3900, 3910, 2000, 3905, 4700, 3895, 3900, 3900, 3900]
    one = _battery()
    assert one.millivolts == 3900


def states_have_a_step_between_their_ways_down_and_up():
    low, critical = 3700, 3450  # 12 and 2 percent
    Adc.samples = [3900]
    one = _battery()
    assert one.state == "ok"
    assert _at(low, one) == "ok" and _at(low, one) == "low", "one measurement alone is believed by nobody"
    assert _at(3720, one, 3) == "low", "17 percent is not enough to be well again"
    assert _at(3740, one) == "ok"
    assert _at(3720, one, 3) == "ok", "nor low enough to be low"
    assert _at(critical, one, 2) == "critical"
    assert _at(3640, one, 3) == "critical" and _at(3680, one) == "low" and _at(3900, one) == "ok"


def a_dip_between_two_good_measurements_is_nothing():
    Adc.samples = [3900]
    one = _battery()
    for _ in range(5):
        assert _at(3300, one) == "ok" and _at(3900, one) == "ok"


def an_empty_battery_is_known_from_the_first_measurement_on():
    Adc.samples = [3300]
    assert _battery().state == "critical"


def on_usb_no_battery_is_empty():
    Adc.samples = [3300]
    one = _battery(usb={"pin": 34, "active": 1})
    Plug.level = 0
    assert one.state == "critical" and one.on_usb is False
    Plug.level = 1
    assert one.state == "ok" and one.on_usb is True
    Plug.level = 0
    assert one.state == "critical"


def what_was_read_before_the_radio_started_holds_for_some_hours():
    Adc.samples = [3900]
    one = _battery({"pin": 13, "permille": 2000, "fitted": False, "before_wifi": True})
    Adc.samples = [None]
    assert one.telemetry()["battery_mv"] == 3900 and one.state == "ok"
    battery._HOLDS_MS = -1
    assert one.telemetry()["battery_mv"] is None and one.state is None
    one = _battery({"pin": 13, "permille": 2000, "fitted": False, "before_wifi": True})
    assert one.state is None, "with the radio on from the start nobody knows"
