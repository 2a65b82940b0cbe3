"""The port that the broker is to listen on: free, or a clear word about who has it."""

import errno
import pwd
import socket
from pathlib import Path
from typing import Final

from broker.mqtt.errors import BrokerStartError, PortTakenError

_LISTENING: Final = "0A"  # proc(5), net/tcp: the state TCP_LISTEN
_MQTT_PORT: Final = 1883
_DEBIANS: Final = "Debian's mosquitto package starts a broker of its own: `systemctl disable --now mosquitto` ends it"


def choose(host: str, port: int, *, setting: str = "mqtt.port") -> int:
    """Return `port` when it is free at `host`; for 0, a port that is. `setting` is what the errors name.

    Raises:
        PortTakenError: somebody listens there.
        BrokerStartError: the address is none of this machine's, or the port needs root.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just closed is no obstacle
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(taken(port, setting=setting)) from None
        raise BrokerStartError(
            f"MQTT can't listen on {host} port {port}: {error.strerror or error} (mqtt.host, {setting})"
        ) from error


def taken(port: int, *, setting: str = "mqtt.port") -> str:
    """Return what there is to say about a port in use."""
    user = _listener(port)
    who = "another program" if user is None else f"a program of the user {user!r}"
    hint = f" {_DEBIANS}." if user == "mosquitto" or port == _MQTT_PORT else ""
    variable = f"APERTURE_{setting.replace('.', '__').upper()}"
    return f"MQTT's port {port} is taken by {who}.{hint} Stop it, or choose another port ({variable})."


def reachable(host: str) -> str:
    """Return the address at which a program on this machine reaches a server that listens on `host`."""
    match host:
        case "0.0.0.0":  # noqa: S104 - it is compared, not bound
            return "127.0.0.1"
        case "::":
            return "::1"
        case _:
            return host


def _listener(port: int) -> str | None:
    """Return the user who listens on a TCP port; anybody may read that on Linux. None: can't know."""
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        if not path.exists():
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                return _user_name(int(fields[7]))
    return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
