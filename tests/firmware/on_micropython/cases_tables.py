"""The firmware's own tables, as JSON, for the server's side to be held against."""

import json

from aa import sensors, settings


def settings_and_sensors():
    limits = {name: sensors.limits(able) for name, able in sensors.SENSORS.items()}
    print(json.dumps({"settings": settings.names(), "sensors": limits}))
