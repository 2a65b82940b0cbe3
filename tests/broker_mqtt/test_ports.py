"""What is said about a port in use, and by whom a server is reached."""

import os
import pwd
import socket

import pytest

from broker.mqtt import BrokerStartError, PortTakenError, ports


def test_a_free_port_is_taken_as_it_is_and_0_becomes_one() -> None:
    port = ports.choose("127.0.0.1", 0)
    assert port > 0
    assert ports.choose("127.0.0.1", port) == port


def test_the_user_who_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=pwd.getpwuid(os.geteuid()).pw_name):
            ports.choose("127.0.0.1", port)
        with pytest.raises(PortTakenError, match="APERTURE_MQTT__PORT"):
            ports.choose("0.0.0.0", port)


def test_debians_own_broker_is_suspected_on_1883() -> None:
    assert "systemctl disable --now mosquitto" in ports.taken(1883)


def test_a_host_that_is_none_is_said_so() -> None:
    with pytest.raises(BrokerStartError, match=r"mqtt\.host"):
        ports.choose("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.168.1.5", "192.168.1.5"), ("broker.lan", "broker.lan")],
)
def test_a_wildcard_is_reached_by_the_loopback(host: str, reached: str) -> None:
    assert ports.reachable(host) == reached
