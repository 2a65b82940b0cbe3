"""Server and firmware have the same settings and the same sensors: what one refuses the other would refuse too."""

import json

from aperture.contract.camera_settings import SENSORS, SETTINGS, Between, Limit, OneOf


def as_firmware(limit: Limit) -> list | str:
    if isinstance(limit, Between):
        return [limit.least, limit.most]
    return list(limit.words) if isinstance(limit, OneOf) else "switch"


def test_the_server_knows_each_setting_and_each_sensor_as_the_firmware_does(run_case):
    told = json.loads(run_case("cases_tables", "settings_and_sensors").splitlines()[0])
    assert told["settings"] == {name: as_firmware(limit) for name, limit in SETTINGS.items()}
    assert told["sensors"] == {
        name: {key: as_firmware(limit) for key, limit in limits.items()} for name, limits in SENSORS.items()
    }
