"""What time it is, and how old photos are."""

from aa.clock import Clock, _days
from helpers import Rtc

NOW = 1_795_000_000_000


def days_are_counted_as_the_calendar_does():
    assert _days(1970, 1, 1) == 0 and _days(2000, 1, 1) == 10_957
    assert _days(2000, 3, 1) - _days(2000, 2, 28) == 2 and _days(2026, 11, 22) == 20_779


def instants_are_whole_milliseconds():
    rtc = Rtc()
    clock = Clock(rtc)
    clock.sync(NOW + 123)
    rtc.second, rtc.micros = 5, 7_999
    assert clock.now_ms() == NOW + 123 + 5_007 and type(clock.now_ms()) is int


def a_photo_without_a_clock_has_an_age_and_gets_a_time_once_one_is_known():
    rtc = Rtc()
    clock = Clock(rtc)
    rtc.second = 10
    stamp = clock.stamp(500)
    rtc.second = 14
    assert clock.when(stamp) == {"age_ms": 4_500}
    clock.sync(NOW)
    assert clock.when(stamp) == {"taken_at_ms": NOW - 4_500}
    assert clock.when(clock.stamp()) == {"taken_at_ms": NOW}


def deep_sleep_keeps_age_and_time():
    rtc = Rtc()
    stamp = Clock(rtc).stamp()
    rtc.second = 3_600
    assert Clock(rtc).when(stamp) == {"age_ms": 3_600_000}
    Clock(rtc).sync(NOW)
    rtc.second = 3_700
    assert Clock(rtc).now_ms() == NOW + 100_000


def after_a_power_loss_neither_is_known():
    before = Rtc()
    before.second = 50
    stamp = Clock(before).stamp()
    after = Rtc()
    after.second = 60
    assert Clock(after).when(stamp) == {} and Clock(after).now_ms() is None
    stepped_back = Rtc()
    stepped_back.kept = before.kept  # memory that survived while the clock did not
    assert Clock(stepped_back).when(stamp) == {}


def garbage_in_the_memory_is_no_clock():
    for garbage in (b"", b"\xff\xfe", b"[]", b"{}", b'{"raw": "x", "timeline": 1, "offset": 2}'):
        rtc = Rtc()
        rtc.kept = garbage
        assert Clock(rtc).now_ms() is None


def a_message_that_was_held_up_does_not_set_the_clock_back():
    rtc = Rtc()
    clock = Clock(rtc)
    clock.sync(NOW)
    clock.sync(NOW - 20_000)
    assert clock.now_ms() == NOW
    clock.sync(NOW - 90_000)
    assert clock.now_ms() == NOW - 90_000, "but a clock that is far off is mended"


def expiry_is_judged_by_the_later_of_both_clocks():
    rtc = Rtc()
    clock = Clock(rtc)
    assert clock.is_past(NOW, NOW) and not clock.is_past(NOW + 1, NOW)
    clock.sync(NOW)
    rtc.second = 30
    assert clock.is_past(NOW + 20_000, NOW), "it was on its way for 30 s"
    assert not Clock(rtc).is_past(NOW + 20_000, NOW), "a clock that slept is not trusted with that"
