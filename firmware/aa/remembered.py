"""The access point that was good last time, in a small file: it is found at once, also after a power loss."""

from binascii import hexlify, unhexlify

from aa import files, log


class Remembered:
    """`ssid`, `bssid` (bytes) and `channel` of the last good network, each None where nothing is known."""

    def __init__(self, path):
        self._path = path
        self.forget()
        kept = files.read_json(path, {})
        try:
            bssid = unhexlify(kept["bssid"])
            if len(bssid) == 6 and isinstance(kept["ssid"], str):
                self.ssid, self.bssid = kept["ssid"], bssid
                self.channel = kept["channel"] if type(kept["channel"]) is int else None
        except (KeyError, TypeError, ValueError):
            pass  # nothing was ever noted, or the flash is damaged

    def forget(self):
        """Ask for no access point by name next time."""
        self.ssid = self.bssid = self.channel = None

    def note(self, ssid, bssid, channel):
        """This one is good. It is written down only when it is another than last time: flash wears out."""
        if (ssid, bssid, channel) == (self.ssid, self.bssid, self.channel):
            return
        self.ssid, self.bssid, self.channel = ssid, bssid, channel
        try:
            text = hexlify(bssid).decode() if bssid else None
            files.write_json(self._path, {"ssid": ssid, "bssid": text, "channel": channel})
        except OSError as cause:
            log.warning("the network can't be remembered", why=log.words(cause))
