"""Wi-Fi, kept up for ever. Without it the camera goes on taking photos; they wait on the card."""

import asyncio

import network

from aa import dns, log
from aa.backoff import Backoff

DOWN, CONNECTING, UP = "down", "connecting", "up"
_CONNECT_MS = 20_000
_LOOK_EVERY_MS = 500


class Wifi:
    """`secrets` has the network's ssid and password."""

    def __init__(self, secrets):
        self._ssid = secrets["wifi"].get("ssid", "")
        self._password = secrets["wifi"].get("password", "")
        self._wlan = network.WLAN(network.STA_IF)
        self._up = asyncio.Event()
        self.state = DOWN
        self.changed = lambda: None
        self.lost = lambda: None

    def _become(self, state):
        self.state = state
        if state == UP:
            self._up.set()
        else:
            self._up.clear()
        self.changed()

    async def wait_up(self):
        """Return once there is a network."""
        await self._up.wait()

    def rssi_dbm(self):
        """Return the signal's strength in dBm, or None without a network."""
        try:
            return self._wlan.status("rssi") if self.state == UP else None
        except (OSError, ValueError, TypeError):
            return None

    async def run(self):
        """Work for ever."""
        backoff = Backoff(1_000, 60_000)
        while True:
            self._become(CONNECTING)
            if await self._connect():
                backoff.reset()
                await self._while_connected()
            self._become(DOWN)
            await asyncio.sleep_ms(backoff.next_ms())

    async def _connect(self):
        try:
            self._wlan.active(True)
            if hasattr(self._wlan, "PM_NONE"):
                self._wlan.config(pm=self._wlan.PM_NONE)  # else what comes in waits up to 300 ms for a beacon
            if not self._wlan.isconnected():
                self._wlan.connect(self._ssid, self._password)
        except OSError as cause:
            log.warning("wifi does not start", why=log.words(cause))
            return False
        for _ in range(_CONNECT_MS // 100):
            if self._wlan.isconnected():
                return True
            await asyncio.sleep_ms(100)
        log.warning("no wifi", ssid=self._ssid)
        self._wlan.disconnect()
        return False

    async def _while_connected(self):
        facts = self._wlan.ifconfig()
        dns.use_server(facts[3])
        log.info("wifi up", address=facts[0])
        self._become(UP)
        while self._wlan.isconnected():
            await asyncio.sleep_ms(_LOOK_EVERY_MS)
        log.warning("wifi lost")
        self.lost()

    def stop(self):
        """Switch the radio off."""
        self._become(DOWN)
        self._wlan.active(False)
