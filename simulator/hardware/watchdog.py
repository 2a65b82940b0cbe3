"""A watchdog that bites: a virtual camera that has not fed it in time is ended by the program, and starts again.

It is the program that watches, over a connection that says nothing but for how long from now. "watchdog MS" makes it
less patient than the firmware asked for; "hang" has the firmware stop where it is, as a driver might.
"""

import bench

_sock = None
_timeout_ms = _asked_ms = None


def _say(timeout_ms):
    if _sock is not None:
        _sock.write("{}\n".format(timeout_ms).encode())


def rest():
    """The chip sleeps lightly, and its watchdog with it, until `WDT.feed`."""
    _say(0)


async def _be_impatient(timeout_ms):
    global _asked_ms
    _asked_ms = int(timeout_ms)
    _say(_asked_ms)


async def _hang():
    while True:
        pass


class WDT:
    """Bites when it was not fed for `timeout` ms."""

    def __init__(self, timeout=5000):
        global _sock, _timeout_ms
        _timeout_ms = timeout
        if _sock is None:
            _sock = bench.connect()
            if _sock is not None:
                _sock.write(b"watchdog\n")
        bench.on("watchdog", _be_impatient)
        bench.on("hang", _hang)
        self.feed()

    def feed(self):
        """All is well."""
        _say(_asked_ms or _timeout_ms)
