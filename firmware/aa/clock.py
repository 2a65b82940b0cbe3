"""What time it is, as far as the camera can know, in whole milliseconds.

The chip's RTC runs from power-on, through resets and deep sleep, from an arbitrary start: it is never set. What is
learnt from the server (`now_ms`) is kept as an offset in the RTC's memory, next to a random name for this run of the
RTC, its timeline. A photo remembers its timeline: its age stays known across deep sleep, and nobody guesses it after
a power loss.
"""

import json
import os
from binascii import hexlify

_EARLIEST_MS, _LATEST_MS = 1_735_689_600_000, 4_102_444_800_000  # 2025 and 2100: all else is no time of today
_BACKWARD_MS = 60_000  # a message that sat in a queue shows an old time; a clock that is off by more is corrected


def _days(year, month, day):
    """Days since 1970-01-01 in the Gregorian calendar (the epoch of MicroPython's own functions differs by port)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def is_plausible(unix_ms):
    """Whether this may be the time of today."""
    return _EARLIEST_MS <= unix_ms < _LATEST_MS


class Clock:
    """Reads `rtc` (a `machine.RTC`), and keeps what it learns in the RTC's memory."""

    def __init__(self, rtc):
        self._rtc = rtc
        self._synced = False  # since this boot: the RTC drifts by percents while the chip sleeps
        self._load()
        self._booted_ms = self.raw_ms()

    def _load(self):
        self.timeline, self._offset_ms = None, None
        try:
            kept = json.loads(self._rtc.memory())
            if kept["raw"] <= self.raw_ms():
                self.timeline, self._offset_ms = kept["timeline"], kept["offset"]
        except (ValueError, KeyError, TypeError):
            pass  # a power loss wiped it
        if self.timeline is None:
            self.timeline = hexlify(os.urandom(8)).decode()
            self._save()

    def _save(self):
        kept = {"timeline": self.timeline, "offset": self._offset_ms, "raw": self.raw_ms()}
        self._rtc.memory(json.dumps(kept).encode())

    def raw_ms(self):
        """Milliseconds on the RTC's own count; only differences within one timeline mean anything."""
        year, month, day, _, hour, minute, second, micros = self._rtc.datetime()
        seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
        return seconds * 1000 + micros // 1000

    def uptime_ms(self):
        """Milliseconds since this boot."""
        return self.raw_ms() - self._booted_ms

    def now_ms(self):
        """Unix time in ms, or None as long as nobody told."""
        return None if self._offset_ms is None else self.raw_ms() + self._offset_ms

    def sync(self, server_now_ms):
        """Learn from the server's time. What came late shows a time too old, so the newest time that was seen wins."""
        if not is_plausible(server_now_ms):
            return
        offset = server_now_ms - self.raw_ms()
        known = self._offset_ms
        if self._synced and known is not None and -_BACKWARD_MS < offset - known <= 0:
            return
        self._offset_ms = offset
        self._synced = True
        self._save()

    @property
    def is_set(self):
        """Whether someone has told the time since this boot."""
        return self._synced

    def is_past(self, instant_ms, server_now_ms):
        """Whether `instant_ms` is past, by the server's word or by a clock that was set since boot."""
        now = self.now_ms() if self._synced else None
        return instant_ms <= max(server_now_ms, now or 0)

    def stamp(self, ago_ms=0):
        """Return what a photo keeps of the time it was taken at, `ago_ms` ago."""
        now = self.now_ms()
        if now is not None:
            return {"taken_at_ms": now - ago_ms}
        return {"timeline": self.timeline, "raw_ms": self.raw_ms() - ago_ms}

    def when(self, facts):
        """Turn a stamp into what a manifest says: {"taken_at_ms"}, {"age_ms"}, or {} after a power loss."""
        if facts.get("taken_at_ms") is not None:
            return {"taken_at_ms": facts["taken_at_ms"]}
        if facts.get("timeline") != self.timeline or facts.get("raw_ms") is None:
            return {}
        if self._offset_ms is not None:
            return {"taken_at_ms": facts["raw_ms"] + self._offset_ms}
        return {"age_ms": max(0, self.raw_ms() - facts["raw_ms"])}
