"""MicroPython's `network` for a virtual camera: access points around it, as the program says.

"wifi up": the network `simulated` is in reach; "wifi down": none is; "wifi reach NAME[=PASSWORD] …": these are instead;
"wifi wrong-password": all of them refuse it; "wifi dhcp": a new address is given while it stays connected. Out of reach
nothing passes any more from that moment on, whether the firmware has noticed yet or not: see `socket.cut_all`.

"dns hang": whoever is asked for a name says nothing; "dns ok": the program answers again (see `socket`).
"""

import socket

import bench

STA_IF = 0
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 201, 202
_RSSI_DBM = -58

aps = []  # (ssid, password or None for any, bssid, channel, rssi_dbm)
_name = _country = None
joins = []  # (ssid, bssid, channel) of each try, for tests


def access_point(ssid, password=None, number=1, channel=6, rssi_dbm=_RSSI_DBM):
    """Return an access point for `aps`."""
    return ssid, password, b"\x02\x00\x00\x00\x00" + bytes((number,)), channel, rssi_dbm


aps.append(access_point("simulated"))


def hostname(name=None):
    """Return the name that DHCP is told, or set it."""
    global _name
    if name is not None:
        if len(name) > 32:
            raise ValueError("hostname too long")
        _name = name
    return _name


def country(code=None):
    """Return the country, or set it."""
    global _country
    if code is not None:
        if len(code) != 2:
            raise ValueError("country has two letters")
        _country = code
    return _country


async def _dns(state):
    socket.dns_hangs = state == "hang"


class WLAN:
    """The station."""

    PM_NONE = 0

    def __init__(self, interface):
        self._active = False
        self._ap = self._asked = self._channel = None
        self._status = STAT_IDLE
        self._refuses = False
        self._host_number = 2
        bench.on("wifi", self._change)
        bench.on("dns", _dns)

    async def _change(self, state, *names):
        global aps
        if state == "dhcp":
            self._host_number += 1
            return
        self._refuses = state == "wrong-password"
        if state == "reach":
            named = [(name + "=").split("=")[:2] for name in names]
            aps = [access_point(ssid, key or None, 1 + at) for at, (ssid, key) in enumerate(named)]
        else:
            aps = [] if state == "down" else [access_point("simulated")]
        if self._refuses or self._ap not in aps:
            self._ap = None
            self._status = STAT_NO_AP_FOUND
            socket.cut_all()

    def active(self, on=None):
        """Return whether the radio is on, or switch it."""
        if on is not None:
            self._active = on
            if not on:
                self._ap = self._channel = None
                self._status = STAT_IDLE
        return self._active

    def connect(self, ssid=None, key=None, *, bssid=None):
        """Join a network; what names none asks for the same as before, on the channel that was set since."""
        if not self._active:
            raise OSError("Wifi Not Started")
        if ssid is not None:
            self._asked, self._channel = (ssid, key, bssid), None
            joins.append((ssid, bssid, None))
        ssid, key, bssid = self._asked
        joins[-1] = ssid, bssid, self._channel
        self._ap, self._status = None, STAT_NO_AP_FOUND
        for ap in aps:
            if ap[0] == ssid and bssid in (None, ap[2]):
                if self._refuses or ap[1] not in (None, key):
                    self._status = STAT_WRONG_PASSWORD
                else:
                    self._ap, self._status = ap, STAT_GOT_IP
                    socket.in_reach = True

    def disconnect(self):
        """Leave it."""
        self._ap, self._status = None, STAT_IDLE

    def isconnected(self):
        """Whether there is a network."""
        return self._ap is not None

    def scan(self):
        """Return (ssid, bssid, channel, RSSI, security, hidden) of each access point in reach."""
        return [(ap[0].encode(), ap[2], ap[3], ap[4], 3, False) for ap in aps]

    def config(self, what=None, **settings):
        """Return the channel, or set it; power saving and the number of tries make no difference here."""
        if what == "channel":
            return self._ap[3] if self._ap else 0
        if what is not None:
            raise ValueError("unknown config param")
        self._channel = settings.get("channel", self._channel)
        return None

    def status(self, what=None):
        """Return how far it got, or the signal's strength."""
        if what is None:
            return self._status
        if self._ap is None:
            raise OSError("Wifi Not Connected")
        return self._ap[4]

    def ifconfig(self):
        """Return (address, netmask, gateway, DNS server)."""
        if self._ap is None:
            return "0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0"
        return "127.0.0.{}".format(self._host_number), "255.0.0.0", "127.0.0.1", socket.dns_server()
