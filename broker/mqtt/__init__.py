"""The MQTT broker that cameras connect to: mosquitto or nats-server as a child of ours, or an external one.

`server` is the way in. `rights` says who may do what, `mosquitto` and `nats` how each program is told; `child`, `leash`
and `claim` see to it that there is exactly one of it per data folder, and none that outlives us.
"""

from broker.mqtt.errors import (
    BrokerMissingError,
    BrokerStartError,
    FolderBusyError,
    MqttBrokerError,
    PortTakenError,
)
from broker.mqtt.server import MqttBroker

__all__ = [
    "BrokerMissingError",
    "BrokerStartError",
    "FolderBusyError",
    "MqttBroker",
    "MqttBrokerError",
    "PortTakenError",
]
