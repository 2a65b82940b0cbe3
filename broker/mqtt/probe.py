"""Is it a broker, and does it let us in? Asked with a real MQTT CONNECT; a port that is open proves little."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import aiomqtt

from broker.mqtt.errors import BrokerStartError

_TRY_S: Final = 3.0
_PAUSES_S: Final = (0.02, 0.5)


@dataclass(frozen=True, slots=True)
class Login:
    """Where to connect, and as whom."""

    host: str
    port: int
    username: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"Login({self.username}@{self.host}:{self.port})"


async def until_serving(login: Login, *, within_s: float) -> None:
    """Return once the broker has accepted a connection.

    Raises:
        BrokerStartError: it has not within that time; the message has the last reason.
    """
    reason = "no answer"
    pause_s, longest_s = _PAUSES_S
    deadline = time.monotonic() + within_s
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while time.monotonic() <= deadline:  # Python 3.11's wait_for, in aiomqtt, can swallow the timeout
                try:
                    await _connect(login)
                except aiomqtt.MqttError as error:
                    reason = str(error) or reason
                else:
                    return
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause_s = min(pause_s * 2, longest_s)
    raise BrokerStartError(
        f"the MQTT broker at {login.host} port {login.port} does not let {login.username!r} in: {reason}"
    )


async def _connect(login: Login) -> None:
    client = aiomqtt.Client(
        login.host, login.port, username=login.username, password=login.password, timeout=_TRY_S, keepalive=10
    )
    async with client:
        pass
