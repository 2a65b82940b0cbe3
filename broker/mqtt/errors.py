"""The errors of the MQTT broker, as a tree.

MqttBrokerError
├── BrokerMissingError   the program is not installed; the message says how to install it
├── PortTakenError       another program listens there; the message says who, and what to do
├── FolderBusyError      another Aperture Archive runs a broker on this data folder
└── BrokerStartError     it started but serves nobody; the message has its own last lines
"""


class MqttBrokerError(Exception):
    """The root of what this package raises."""


class BrokerMissingError(MqttBrokerError):
    """The broker's program is not installed."""


class PortTakenError(MqttBrokerError):
    """The port is another program's."""


class FolderBusyError(MqttBrokerError):
    """A broker runs on this data folder already."""


class BrokerStartError(MqttBrokerError):
    """The broker, ours or an external one, accepts no connection in time."""
