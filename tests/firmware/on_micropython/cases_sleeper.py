"""Going to sleep: nothing left behind, nobody surprised, and never stuck awake."""

import asyncio
import json
import time

from aa import sleeper
from aa.sleeper import Sleeper
from helpers import Face, until


class App:
    """What a sleeper touches."""

    def __init__(self, woken_by_timer=False, online=True, **settings):
        self.online, self.queue, self.busy_for = online, [], 0
        self.said, self.slept, self.presences = [], [], []
        self.settings = {"idle_timeout_ms": 0, "wake_every_ms": 60_000, "light_sleep": False}
        self.settings.update(settings)
        self.mqtt = self.shutter = self.power = self
        self.face = Face()
        self.resets, self.late = [], False
        self.busy, self.battery, self.linked = False, None, False
        self.sleeper = Sleeper(self, woken_by_timer, answer_ms=300)
        self.running = asyncio.create_task(self.sleeper.run())

    def publish(self, kind, body):
        if self.online:
            self.said.append(json.loads(body))
        return self.online

    def is_busy(self):
        self.busy_for -= 1
        return self.busy_for > 0

    def battery_state(self):
        return self.battery

    def is_online(self):
        return self.linked

    async def leave(self, presence):
        self.presences.append(presence)

    def deep_sleep(self, wake_ms):
        if self.late is None:
            raise OSError(5)
        if self.late:
            return  # a press came just in time
        self.slept.append(wake_ms)
        raise asyncio.CancelledError  # nothing of this run goes on

    async def start_anew(self):
        assert self.sleeper.pulse._until is None, "the watchdog would bite while photos are written down"
        self.resets.append(time.ticks_ms())
        raise asyncio.CancelledError  # nothing of this run goes on


async def the_handshake_has_two_halves():
    app = App()
    app.sleeper.ask("command", 5_000)
    await until(lambda: app.said)
    intent = app.said[0]
    assert (intent["phase"], intent["reason"], intent["next_wake_ms"], intent["queue"]) == (
        "intent",
        "command",
        5_000,
        0,
    )
    app.sleeper.allowed(intent["nonce"])
    await until(lambda: app.slept, 250)
    assert app.said[1]["phase"] == "going" and app.said[1]["nonce"] == intent["nonce"]
    assert app.presences == ["asleep"] and app.slept == [5_000]


async def without_an_answer_it_sleeps_all_the_same():
    app = App()
    app.sleeper.ask("idle", 0)
    await until(lambda: app.said)
    app.sleeper.allowed(app.said[0]["nonce"] + 1)
    started = time.ticks_ms()
    await until(lambda: app.slept, 2_000)
    assert time.ticks_diff(time.ticks_ms(), started) > 200, "another nonce is no leave"
    assert "next_wake_ms" not in app.said[0]


async def without_a_network_it_sleeps_at_once():
    app = App(online=False)
    app.sleeper.ask("idle", 0)
    await until(lambda: app.slept, 1_000)
    assert app.said == []


async def a_press_in_the_middle_puts_it_off():
    app = App()
    app.sleeper.ask("idle", 0)
    await until(lambda: app.said)
    app.sleeper.activity(by_owner=True)
    app.sleeper.allowed(app.said[0]["nonce"])
    await asyncio.sleep_ms(600)
    assert app.slept == [] and len(app.said) == 1


async def a_command_in_the_middle_is_finished_first():
    app = App()
    app.sleeper.ask("idle", 0)
    await until(lambda: app.said)
    app.busy_for = 3
    app.sleeper.activity()
    app.sleeper.allowed(app.said[0]["nonce"])
    await until(lambda: app.slept, 2_000)
    assert app.busy_for <= 0


async def what_waits_is_let_out_before_leave_is_asked_for_but_not_for_ever():
    app = App()
    app.busy_for = 3
    app.sleeper.ask("idle", 0)
    await until(lambda: app.said)
    assert app.busy_for <= 0
    sleeper._DRAIN_MS = 300
    app = App()
    app.busy_for = 1_000_000
    app.sleeper.ask("idle", 0)
    await until(lambda: app.said, 2_000)
    app.sleeper.allowed(app.said[0]["nonce"])
    await until(lambda: app.slept, 2_000)


async def a_press_in_the_last_moment_keeps_it_awake():
    for late in (True, None):
        app = App(online=False)
        app.late = late  # None: something breaks
        app.sleeper.ask("idle", 0)
        await until(lambda app=app: app.resets, 2_000)
        assert app.presences == ["asleep"] and app.slept == [], "it said good-bye: it starts anew"


async def a_good_bye_that_breaks_is_no_zombie():
    async def leave(_):
        raise OSError(104)

    app = App(online=False)
    app.leave = leave
    app.sleeper.ask("idle", 0)
    await until(lambda: app.resets, 2_000)


async def idleness_sleeps_and_use_does_not():
    app = App(idle_timeout_ms=500)
    for _ in range(4):
        await asyncio.sleep_ms(200)
        app.sleeper.activity()
    assert app.said == []
    await until(lambda: app.said, 1_500)
    assert app.said[0]["reason"] == "idle" and app.said[0]["next_wake_ms"] == 60_000


async def an_intent_that_is_lost_is_said_again():
    from aa import sleeper

    sleeper._SAY_AGAIN_MS = 50
    app = App()
    app.sleeper.ask("idle", 0)
    await until(lambda: len(app.said) == 3)
    assert app.said[0] == app.said[2], "one wish has one nonce"
    app.sleeper.allowed(app.said[0]["nonce"])
    await until(lambda: app.slept, 250)


async def a_camera_that_woke_by_itself_asks_for_what_waits_and_goes_back_unless_someone_takes_it():
    from aa import sleeper

    sleeper._LINK_MS = 600
    left, lonely, taken = App(woken_by_timer=True), App(woken_by_timer=True, online=False), App(woken_by_timer=True)
    left.sleeper.activity()  # a command is not a hand
    left.linked = taken.linked = True
    taken.sleeper.activity(by_owner=True)
    await until(lambda: left.said and left.said[0]["phase"] == "intent", 500)
    assert lonely.slept == [], "it waits for its broker"
    left.sleeper.allowed(left.said[0]["nonce"])
    await until(lambda: left.slept and lonely.slept, 2_000)
    assert taken.said == []


async def an_empty_battery_sleeps_even_in_someones_hand():
    app = App()
    app.battery = "critical"
    await until(lambda: app.said)
    app.sleeper.activity(by_owner=True)
    assert app.said[0]["reason"] == "battery"
    await until(lambda: app.slept == [60_000], 2_000)


async def a_low_battery_is_not_left_on():
    from aa import sleeper

    sleeper._LOW_IDLE_MS = 300
    low, full, never = App(idle_timeout_ms=60_000), App(idle_timeout_ms=60_000), App()
    low.battery, full.battery, never.battery = "low", "ok", "low"
    await until(lambda: low.said and never.said, 1_500)
    assert full.said == []


async def light_sleep_is_the_same_good_bye_and_goes_on_after_it():
    app = App(idle_timeout_ms=400, light_sleep=True)
    naps, back = [], []

    def light_sleep(wake_ms):
        naps.append(wake_ms)
        return "press" if len(naps) == 1 else "timer"

    app.light_sleep, app.come_back = light_sleep, back.append
    for nap in (1, 2):
        await until(lambda nap=nap: len(app.said) == 2 * nap - 1, 2_000)
        assert app.said[-1]["phase"] == "intent" and app.said[-1]["reason"] == "idle"
        app.sleeper.allowed(app.said[-1]["nonce"])
        await until(lambda nap=nap: len(naps) == nap, 1_000)
    assert app.presences == ["asleep"] * 2 and naps == [60_000] * 2 and back == ["press", "timer"]
    app.sleeper.ask("command", 7)
    await until(lambda: app.slept == [7], 8_000)
