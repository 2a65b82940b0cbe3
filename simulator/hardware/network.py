"""MicroPython's `network` for a virtual camera: Wi-Fi that connects at once, until the program says "wifi down"."""

import bench

STA_IF = 0
_RSSI_DBM = -58


class WLAN:
    """The station. Cutting it off here only tells the firmware: open sockets of the host stay."""

    def __init__(self, interface):
        self._active = self._connected = False
        self._in_reach = True
        bench.on("wifi", self._change)

    async def _change(self, state):
        self._in_reach = state == "up"
        self._connected = self._connected and self._in_reach

    def active(self, on=None):
        """Return whether the radio is on, or switch it."""
        if on is not None:
            self._active = on
            self._connected = self._connected and on
        return self._active

    def connect(self, ssid, key=None):
        """Join a network."""
        self._connected = self._active and self._in_reach

    def disconnect(self):
        """Leave it."""
        self._connected = False

    def isconnected(self):
        """Whether there is a network."""
        return self._connected

    def status(self, what=None):
        """Return the signal's strength."""
        return _RSSI_DBM

    def ifconfig(self):
        """Return (address, netmask, gateway, DNS server); names are the host's business here."""
        return "127.0.0.1", "255.0.0.0", "127.0.0.1", None
