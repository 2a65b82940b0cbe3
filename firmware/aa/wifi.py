"""Wi-Fi, kept up for ever. Without it the camera goes on taking photos; they wait on the card.

The access point that was good last time is asked first, on its own channel (`remembered`); only then is there a scan,
which also tells which of the known networks are in reach. A password that is refused is tried again, but slowly.
"""

import asyncio
import time

import network

from aa import dns, log, radio, troubles
from aa.backoff import Backoff
from aa.link import CONNECTING, DOWN, REFUSED, UP
from aa.pulse import Pulse
from aa.remembered import Remembered

_QUICK_MS = 5_000
_JOIN_MS = 20_000
_LOOK_MS = 100
_LOOK_EVERY_MS = 500
_ROUND_MS = 60_000  # a round with the quick try, a scan and one network; more for each more
_LATE_MS = 15_000
_DEAF_MS = 180_000  # the links ask for a sign of life every 45 s


class Wifi:
    """`secrets` has the networks in `wifi`, `country` and `hostname`; `path` is where the last good one is remembered.

    `ssid` is the network that it is in, or tries. `lost()` is called when connections that were made are worth nothing
    any more.
    """

    def __init__(self, secrets, path="/wifi.json"):
        self._networks = [radio.Network(one["ssid"], one["password"]) for one in secrets["wifi"]]
        self._remembered = Remembered(path)
        radio.introduce(secrets.get("country"), secrets.get("hostname"))
        self._wlan = network.WLAN(network.STA_IF)
        self._up = asyncio.Event()
        self._retry = asyncio.Event()
        self._deaf_pauses = Backoff(_DEAF_MS, 10 * _DEAF_MS)
        self._heard_ticks = None
        self._said = None
        self.state = DOWN
        self.trouble = None
        self.ssid = None
        self.pulse = Pulse()
        self.changed = lambda: None
        self.lost = lambda: None

    def _become(self, state, trouble=None):
        self.state, self.trouble = state, trouble
        if state == UP:
            self._up.set()
        else:
            self._up.clear()
        self.changed()

    async def wait_up(self):
        """Return once there is a network."""
        await self._up.wait()

    def heard(self):
        """A server has spoken: this network is good for something."""
        self._heard_ticks = time.ticks_ms()
        self._deaf_pauses.reset()

    def hurry(self):
        """Someone waits: this pause between two tries is over, or the next one."""
        if self.state in (DOWN, CONNECTING):
            self._retry.set()

    def rssi_dbm(self):
        """Return the signal's strength in dBm, or None without a network."""
        try:
            return self._wlan.status("rssi") if self.state == UP else None
        except (OSError, ValueError, TypeError):
            return None

    async def run(self):
        """Work for ever."""
        pauses = Backoff(1_000, 30_000)
        while True:
            self._become(CONNECTING, self.trouble)
            self.pulse.within(_ROUND_MS + _JOIN_MS * len(self._networks))
            trouble = await self._join_any()
            if trouble is None:
                pauses.reset()
                trouble = await self._while_connected()
            self._say(trouble)
            waits_ms = [one.put_off_ms() for one in self._networks]
            refused = not waits_ms or min(waits_ms) > 0
            self._become(REFUSED if refused else DOWN, trouble)
            if refused:
                self._retry.clear()
            await self._pause(min(waits_ms or [_JOIN_MS]) if refused else pauses.next_ms())

    def _say(self, trouble):
        if trouble != self._said:
            self._said = trouble
            log.warning("wifi down", why=trouble[0], ssid=self.ssid)

    async def _pause(self, pause_ms):
        self.pulse.within(pause_ms + _LATE_MS)
        try:
            await asyncio.wait_for_ms(self._retry.wait(), pause_ms)
        except asyncio.TimeoutError:
            pass
        self._retry.clear()

    async def _join_any(self):
        """Join the best network there is. Returns None, or the trouble."""
        try:
            radio.switch_on(self._wlan)
        except OSError as cause:
            log.warning("radio does not start", why=log.words(cause))
            return troubles.NO_WIFI
        last = self._remembered
        known = [one for one in self._networks if one.ssid == last.ssid and not one.put_off_ms()]
        if known and last.bssid and await self._join(known[0], last.bssid, last.channel, _QUICK_MS) is None:
            return None
        seen = await radio.scan(self._wlan)
        worst = troubles.NO_WIFI if self._networks else troubles.NO_NETWORKS
        for one, bssid, channel in radio.candidates(self._networks, seen, last.ssid):
            trouble = troubles.WIFI_PASSWORD
            if not one.put_off_ms():
                trouble = await self._join(one, bssid, channel, _JOIN_MS)
                if trouble is None:
                    return None
                if trouble == troubles.WIFI_PASSWORD:
                    one.put_off()
            if worst == troubles.NO_WIFI:
                worst = trouble  # that a network is out of reach says least
        return worst

    async def _join(self, one, bssid, channel, timeout_ms):
        """Join a network. Returns None, or the trouble; it is then left."""
        self.ssid = one.ssid
        self.changed()
        wlan = self._wlan
        try:
            stale = radio.failure(wlan)  # of the last try: not to be taken for this one's
            radio.connect(wlan, one, bssid, channel)
            for waited_ms in range(0, timeout_ms, _LOOK_MS):
                if wlan.isconnected():
                    one.accept()
                    self._remembered.note(one.ssid, bssid, radio.channel(wlan) or channel)
                    return None
                trouble = radio.failure(wlan)
                if trouble and (trouble != stale or waited_ms >= radio.STALE_MS):
                    break
                await asyncio.sleep_ms(_LOOK_MS)
            else:
                trouble = troubles.WIFI_NO_ADDRESS if radio.is_associated(wlan) else troubles.NO_WIFI
            wlan.disconnect()
            return trouble
        except (OSError, ValueError) as cause:
            log.warning("wifi does not join", ssid=one.ssid, why=log.words(cause))
            return troubles.NO_WIFI

    async def _while_connected(self):
        """Watch over the network for as long as it is there. Returns what became of it."""
        facts = self._wlan.ifconfig()
        dns.use_server(facts[3])
        log.info("wifi up", ssid=self.ssid, address=facts[0])
        self._said = None
        self._heard_ticks = time.ticks_ms()
        self._retry.clear()
        deaf_ms = self._deaf_pauses.next_ms()
        self._become(UP)
        try:
            while self._wlan.isconnected():
                self.pulse.within(_LATE_MS)
                if time.ticks_diff(time.ticks_ms(), self._heard_ticks) > deaf_ms:
                    return self._start_anew()
                facts = self._follow(facts)
                await asyncio.sleep_ms(_LOOK_EVERY_MS)
            return troubles.NO_WIFI
        finally:
            self._become(DOWN)
            self.lost()

    def _follow(self, facts):
        """After a new address from DHCP, connections from the old one get no answer any more."""
        now = self._wlan.ifconfig()
        if now != facts:
            log.warning("wifi has a new address", address=now[0], before=facts[0])
            dns.use_server(now[3])
            self.lost()
        return now

    def _start_anew(self):
        """It says that it is connected, but no server was heard for long: maybe it is the radio."""
        log.warning("wifi is deaf: it starts anew")
        self._remembered.forget()
        self.stop()
        return troubles.WIFI_DEAF

    def stop(self):
        """Switch the radio off."""
        self._become(DOWN)
        self._wlan.active(False)
