"""What MicroPython's `network.WLAN` does by itself, and what it takes to make it do the rest.

On an ESP32 it associates again by itself for ever, tells of a refused password only when it doesn't, forgets the
channel that it was given with each `connect` that names a network, and scans for 2 s while it holds everything else up.
"""

import asyncio
import sys
import time

import network

from aa import log, troubles
from aa.backoff import Backoff

STALE_MS = 4_000  # for so long, the reason why the last try failed may still be shown for this one
_SCAN_MS = 10_000
_SCAN_LOOK_MS = 50
# MicroPython's names, and what ESP-IDF reports besides: 15 and 204 are handshakes that a wrong password ends.
_WRONG_PASSWORD = (getattr(network, "STAT_WRONG_PASSWORD", 202), 202, 204, 15)
_NOT_THERE = (getattr(network, "STAT_NO_AP_FOUND", 201), 200, 201, 203, 205, 210, 211, 212)


class Network:
    """A network that is known, and for how long it is put off because it refused us."""

    def __init__(self, ssid, password):
        self.ssid, self.password = ssid, password
        self._pauses = Backoff(10_000, 300_000)
        self._until = None

    def put_off(self):
        """It refused the password: not again soon."""
        self._until = time.ticks_add(time.ticks_ms(), self._pauses.next_ms())

    def accept(self):
        """It took us."""
        self._until = None
        self._pauses.reset()

    def put_off_ms(self):
        """Return for how long it is put off."""
        left_ms = 0 if self._until is None else time.ticks_diff(self._until, time.ticks_ms())
        return left_ms if 0 < left_ms <= 300_000 else 0  # further ahead, ticks have wrapped


def introduce(country, hostname):
    """Say where the camera is, for the channels allowed there, and what it is called. Both may be None."""
    for name, value in (("country", country), ("hostname", hostname)):
        try:
            if value and hasattr(network, name):
                getattr(network, name)(value)
        except (OSError, ValueError) as cause:
            log.warning("network does not take the " + name, why=log.words(cause))


def switch_on(wlan):
    """Switch the radio on.

    Raises:
        OSError: it does not start.
    """
    wlan.active(True)
    _configure(wlan, reconnects=0)  # when to try again is our business
    if hasattr(wlan, "PM_NONE"):
        _configure(wlan, pm=wlan.PM_NONE)  # else what comes in waits up to 300 ms for a beacon


def _configure(wlan, **setting):
    try:
        wlan.config(**setting)
        return True
    except (OSError, ValueError, TypeError):
        return False  # this port has no such setting, or not now


def connect(wlan, one, bssid, channel):
    """Begin to join a network, a certain access point on a certain channel where these are known.

    Raises:
        OSError, ValueError: the driver does not take it.
    """
    if bssid is None:
        wlan.connect(one.ssid, one.password)
        return
    wlan.connect(one.ssid, one.password, bssid=bssid)
    if channel:
        wlan.disconnect()  # it keeps all but the channel, which can only be given now
        _configure(wlan, channel=channel)
        wlan.connect()


def channel(wlan):
    """Return the channel that is in use, or None."""
    try:
        return wlan.config("channel")
    except (OSError, ValueError, TypeError):
        return None


def failure(wlan):
    """Return the trouble that the driver reports, or None."""
    status = wlan.status()
    if status in _WRONG_PASSWORD:
        return troubles.WIFI_PASSWORD
    return troubles.NO_WIFI if status in _NOT_THERE else None


def is_associated(wlan):
    """Whether an access point took us, be it without an address."""
    try:
        wlan.status("rssi")
        return True
    except (OSError, ValueError, TypeError):
        return False


async def scan(wlan):
    """Return {ssid: (bssid, channel)} of the strongest access point of each network in reach."""
    found, done = [], []

    def look():
        try:
            found.extend(wlan.scan())
        except (OSError, ValueError, RuntimeError) as cause:
            log.warning("no scan", why=log.words(cause))
        done.append(True)

    if sys.platform == "esp32":  # beside everything else: a press must not wait for it
        import _thread

        _thread.start_new_thread(look, ())
    else:
        look()
    for _ in range(_SCAN_MS // _SCAN_LOOK_MS):
        if done:
            break
        await asyncio.sleep_ms(_SCAN_LOOK_MS)
    seen = {}
    for one in sorted(found, key=lambda one: one[3]):  # by strength
        try:
            seen[bytes(one[0]).decode()] = (bytes(one[1]), one[2])
        except UnicodeError:
            pass  # someone else's network
    return seen


def candidates(networks, seen, last_ssid):
    """Return [(network, bssid or None, channel or None)]: those in reach first, and of these the last good one.

    The others may be hidden: they are asked for all the same, in the end.
    """
    last = [one for one in networks if one.ssid in seen and one.ssid == last_ssid]
    found = [one for one in networks if one.ssid in seen and one.ssid != last_ssid]
    hidden = [one for one in networks if one.ssid not in seen]
    return [(one,) + seen.get(one.ssid, (None, None)) for one in last + found + hidden]
