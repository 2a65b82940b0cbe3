"""What is known to be impossible is refused in words; what only the camera can know is left to it."""

import pytest

from aperture.contract.camera_settings import SENSORS, SETTINGS, SettingsRejectedError, check_config

TOLD = dict.fromkeys(SETTINGS, 0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"quality": 4}, "quality: must be a whole number from 5 to 100"),
        ({"quality": "85"}, "quality"), ({"quality": 85.0}, "quality"), ({"quality": True}, "quality"),
        ({"quality": None}, "quality"), ({"hmirror": 1}, "hmirror: must be true or false"),
        ({"frame_size": "HUGE"}, "frame_size: must be one of QVGA CIF"), ({"frame_size": ["VGA"]}, "frame_size"),
        ({"white_balance": "moonlight"}, "auto sunny cloudy office home"), ({"effect": 3}, "sepia"),
        ({"idle_timeout_ms": -1}, "idle_timeout_ms"), ({"status_every_ms": 999}, "from 1000 to"),
        ({"colour": 1}, "colour: there is no such setting"),
    ],
)  # fmt: skip
def test_what_no_camera_can_be_set_to_is_refused(config, words):
    with pytest.raises(SettingsRejectedError, match=words):
        check_config(config, sensor=None, told=TOLD)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(SettingsRejectedError, match=r"brightness.*; .*saturation"):
        check_config({"brightness": 9, "quality": 80, "saturation": -9}, sensor=None, told=None)


@pytest.mark.parametrize(("sensor", "largest", "too_large"), [("OV2640", "UXGA", "FHD"), ("OV3660", "QXGA", "QHD")])
def test_a_sensor_s_own_limits_count_and_it_is_named(sensor, largest, too_large):
    check_config({"frame_size": largest}, sensor=sensor, told=TOLD)
    with pytest.raises(SettingsRejectedError, match=rf"{largest} \({sensor}\)") as caught:
        check_config({"frame_size": too_large}, sensor=sensor, told=TOLD)
    assert too_large not in str(caught.value).split("one of")[1]
    with pytest.raises(SettingsRejectedError, match="quality"):
        check_config({"quality": 94}, sensor=sensor, told=TOLD)


def test_of_an_unknown_sensor_only_the_camera_knows_the_limits():
    check_config({"frame_size": "QSXGA", "brightness": 4}, sensor="GC9999", told=TOLD)
    check_config({"frame_size": "QSXGA", "brightness": 4}, sensor=None, told=None)


def test_a_setting_of_a_newer_firmware_is_the_camera_s_business():
    check_config({"shiny": "yes"}, sensor="OV2640", told={"shiny": "no"})
    check_config({"shiny": "yes"}, sensor=None, told=None)


def test_no_sensor_can_do_more_than_any_may():
    for limits in SENSORS.values():
        assert set(limits) < set(SETTINGS)
