"""Commands: once each, with a reply for each time they are asked."""

import asyncio
import json
import os
import time

from aa import files
from aa.announcer import Announcer
from aa.capture import NoFrame
from aa.clock import Clock
from aa.commands import Commands
from aa.journal import Journal
from aa.settings import Settings
from aa.update import Updater
from helpers import JPEG, PHOTOS, Face, Rtc, araises, facts_of, open_queue, raises, until

NOW = 1_795_000_000_000


class App:
    """Real parts on real files, and ears where the network would be."""

    def __init__(self):
        self.published, self.online = [], True
        self.mqtt = self.sleeper = self.shutter = self.sensor = self.power = self
        self.face = Face()
        self.state = "up"
        self.lock = asyncio.Lock()
        self.presses, self.slept, self.applied = [], [], 0
        self.clock = Clock(Rtc())
        self.queue = open_queue()
        self.journal = Journal("commands.json")
        self.settings = Settings("settings.json", {})
        self.announcer = Announcer(self.queue, self.clock, self, None)
        self.updater = Updater(self, ".")
        self.commands = Commands(self)
        self.running = asyncio.create_task(self.commands.run())

    def publish(self, kind, body, retain=False):
        if self.online:
            self.published.append((kind, json.loads(body)))
        return self.online

    def press(self, trigger, command):
        record = Journal("commands.json").find(command)
        self.presses.append((trigger, command, record is not None and "ok" not in record))
        return len(self.presses) < 3

    def ask(self, reason, wake_ms):
        self.slept.append((reason, wake_ms))

    def apply_settings(self):
        self.applied += 1
        if self.settings["frame_size"] == "FHD":
            raise NoFrame("too large")

    def say(self, ident, do, args=None, expires_ms=NOW + 30_000, now_ms=NOW):
        body = {"id": ident, "do": do, "args": args or {}, "expires_at_ms": expires_ms, "now_ms": now_ms}
        self.commands.take(json.dumps(body).encode())

    async def reply(self, count=1):
        await until(lambda: len(self.published) >= count)
        return self.published[count - 1][1]


async def a_command_is_written_down_before_it_is_acted_on():
    app = App()
    app.say("c1", "shutter")
    assert app.presses == [], "not inside the callback"
    await until(lambda: app.presses)
    assert app.presses == [("command", "c1", True)] and app.published == []
    app.commands.finish("c1", True)
    assert await app.reply() == {"command": "c1", "ok": True}


async def a_duplicate_is_not_done_twice_but_answered_again():
    app = App()
    app.say("c1", "shutter")
    await until(lambda: app.presses)
    app.say("c1", "shutter")
    await asyncio.sleep_ms(30)
    assert len(app.presses) == 1 and app.published == []
    app.commands.finish("c1", True)
    app.say("c1", "shutter")
    assert await app.reply(2) == {"command": "c1", "ok": True} and len(app.presses) == 1


async def a_duplicate_after_a_restart_gets_the_remembered_reply():
    app = App()
    app.say("c1", "configure", {"quality": 3})
    first = await app.reply()
    assert first["ok"] is False and first["error"] == "bad_settings"
    again = App()
    again.say("c1", "configure", {"quality": 3})
    assert await again.reply() == first and again.applied == 0


async def what_the_sensor_cannot_do_is_taken_back():
    app = App()
    app.say("c1", "configure", {"frame_size": "FHD", "quality": 60})
    assert (await app.reply())["error"] == "bad_settings"
    kept = Settings("settings.json", {})
    assert (kept["frame_size"], kept["quality"], app.applied) == ("SVGA", 85, 2)


async def a_command_and_an_ack_tell_what_time_it_is():
    app = App()
    assert app.clock.now_ms() is None
    app.say("c1", "identify")
    assert app.clock.now_ms() == NOW
    app.announcer.take_ack(json.dumps({"photo": PHOTOS[0], "state": "announced", "now_ms": NOW + 9}).encode())
    assert app.clock.now_ms() == NOW + 9


async def an_expired_command_is_answered_and_not_done():
    app = App()
    app.say("c1", "shutter", expires_ms=NOW)
    assert await app.reply() == {"command": "c1", "ok": False, "error": "expired"}
    assert app.presses == []


async def a_command_held_up_on_its_way_is_expired_by_our_clock():
    app = App()
    app.clock.sync(NOW + 40_000)
    app.say("c1", "shutter", expires_ms=NOW + 30_000, now_ms=NOW)
    assert (await app.reply())["error"] == "expired"


async def an_unknown_command_is_told():
    app = App()
    app.say("c1", "levitate")
    assert (await app.reply())["error"] == "unknown_command"
    app.say("c2", "_reply")
    assert (await app.reply(2))["error"] == "unknown_command"


async def a_reset_in_the_middle_is_answered_with_what_is_known():
    app = App()
    for ident, do in (("c1", "shutter"), ("c2", "shutter"), ("c3", "sleep")):
        app.journal.begin(ident, do)
    await app.queue.add(memoryview(JPEG), facts_of(1, PHOTOS[0], command="c2"), time.ticks_ms())
    again = App()
    again.online = False
    await until(lambda: not again.commands.busy)
    again.online = True
    again.commands.say_owed()
    assert [body for _, body in again.published] == [
        {"command": "c1", "ok": False, "error": "interrupted", "detail": "a reset cut it off"},
        {"command": "c2", "ok": True},
        {"command": "c3", "ok": False, "error": "interrupted", "detail": "a reset cut it off"},
    ]
    again.say("c1", "shutter")
    await again.reply(4)
    assert again.presses == [], "it is not done after all"


async def a_failure_is_a_reply_and_the_next_command_is_heard():
    app = App()
    app.apply_settings = None
    app.say("c1", "configure", {"quality": 50})
    assert (await app.reply())["error"] == "failed"
    app.say("c2", "identify")
    assert (await app.reply(2)) == {"command": "c2", "ok": True}


class Flash:
    """Lets writes of the journal fail while it is `full`."""

    def __init__(self):
        self.full, self._real = True, files.write_whole
        files.write_whole = self._write

    def _write(self, path, data):
        if self.full:
            raise OSError(28)
        self._real(path, data)


async def a_command_that_cannot_be_written_down_is_refused_aloud_and_not_done():
    app, flash = App(), Flash()
    app.say("c1", "shutter")
    reply = await app.reply()
    assert (reply["ok"], reply["error"], app.presses) == (False, "failed", [])
    flash.full = False
    app.say("c1", "shutter")
    assert await app.reply(2) == reply, "its answer stands"
    app.say("c2", "shutter")
    await until(lambda: app.presses)
    assert app.presses == [("command", "c2", True)] and not app.commands.busy
    assert Journal("commands.json").find("c2") is not None


async def an_outcome_that_cannot_be_written_down_is_told_all_the_same():
    app = App()
    app.say("c1", "shutter")
    await until(lambda: app.presses)
    Flash()
    app.commands.finish("c1", True)
    assert await app.reply() == {"command": "c1", "ok": True} and app.journal.interrupted() == []


async def what_breaks_an_action_off_leaves_no_command_behind():
    class Broken(BaseException):
        pass

    app = App()

    def fail(*_):
        raise Broken

    app.press = fail
    app.running.cancel()
    app.say("c1", "shutter")
    app.say("c2", "identify")
    await araises(Broken, app.commands.run())
    app.running = asyncio.create_task(app.commands.run())  # as `App` does
    assert await app.reply() == {"command": "c2", "ok": True}, "nobody has to call again"


async def a_camera_that_starts_with_nothing_readable_runs_all_the_same():
    app = App()
    entry = await app.queue.add(memoryview(JPEG), facts_of(1, PHOTOS[0], command="c1"), time.ticks_ms())
    app.journal.begin("c1", "shutter")
    app.running.cancel()
    again = App()
    for ending in (".jpg", ".txt"):
        os.remove(entry.base + ending)
    Flash()
    assert again.commands.busy, "it has something to say before it may sleep"
    assert (await again.reply())["error"] == "interrupted"
    again.say("c2", "nothing")
    assert (await again.reply(2))["error"] == "unknown_command" and not again.commands.busy


async def a_command_that_32_others_pushed_out_gets_its_reply():
    app = App()
    app.journal.begin("shot", "shutter")
    for number in range(32):
        app.journal.begin("c{}".format(number), "identify")
    app.commands.finish("shot", True)
    assert await app.reply() == {"command": "shot", "ok": True}
    assert Journal("commands.json").find("shot")["ok"]


async def an_echo_is_cut_short():
    app = App()
    app.say("c1", "configure", {"x" * 3_000: 1})
    assert len((await app.reply())["detail"]) == 100
    assert os.stat("commands.json")[6] < 300


async def too_many_presses_are_refused_not_forgotten():
    app = App()
    for ident in ("c1", "c2", "c3"):
        app.say(ident, "shutter")
    assert await app.reply() == {"command": "c3", "ok": False, "error": "busy", "detail": "too many presses wait"}


async def the_last_32_are_remembered():
    journal = Journal("j.json")
    for number in range(40):
        journal.begin("c{}".format(number), "identify")
        journal.finish("c{}".format(number), True)
    again = Journal("j.json")
    assert again.find("c7") is None and again.find("c8")["ok"] and again.find("c39")["ok"]


async def sleep_takes_a_whole_number_or_the_setting():
    app = App()
    app.say("c1", "sleep", {"next_wake_ms": 5_000})
    app.say("c2", "sleep")
    app.say("c3", "sleep", {"next_wake_ms": 1.5})
    assert (await app.reply(3))["error"] == "bad_args"
    assert app.slept == [("command", 5_000), ("command", 3_600_000)]


async def resend_offers_a_photo_again_or_says_that_it_is_gone():
    app = App()
    entry = await app.queue.add(memoryview(JPEG), facts_of(1, PHOTOS[0]), time.ticks_ms())
    app.queue.mark(entry, announced=True, delivered=True)
    app.say("c1", "resend", {"photo": PHOTOS[0]})
    assert (await app.reply())["ok"] and len(app.queue) == 1 and not app.queue.find(PHOTOS[0]).announced
    app.say("c2", "resend", {"photo": PHOTOS[1]})
    assert (await app.reply(2))["error"] == "unknown_photo"
    app.queue.find(PHOTOS[0]).announced = True
    app.say("c3", "resend")
    assert (await app.reply(3))["detail"] == "1 to send again" and not app.queue.find(PHOTOS[0]).announced


async def to_look_through_a_large_card_for_a_photo_is_not_to_hang():
    app = App()
    left = []

    async def again(photo):
        left.append(time.ticks_diff(app.commands.pulse._until, time.ticks_ms()))
        return False

    app.queue.again = again
    app.say("c1", "resend", {"photo": PHOTOS[1]})
    assert (await app.reply())["error"] == "unknown_photo" and left[0] > 600_000


async def acks_move_photos_on():
    app = App()
    allowed = []
    announcer = Announcer(app.queue, app.clock, app, allowed.append)
    entries = []
    for index in range(3):
        facts = facts_of(index + 1, PHOTOS[index])
        entries.append(await app.queue.add(memoryview(JPEG), facts, time.ticks_ms()))

    def ack(index, state):
        announcer.take_ack(json.dumps({"photo": PHOTOS[index], "state": state, "now_ms": NOW}))

    ack(0, "announced")
    assert len(app.queue) == 3, "its bytes are still to come"
    ack(1, "stored")
    assert [one.photo for one in app.queue] == [PHOTOS[0], PHOTOS[2]]
    ack(1, "resend")
    ack(7, "resend")
    ack(8, "stored")
    await app.queue.tend()
    assert PHOTOS[1] in [one.photo for one in app.queue]
    ack(1, "stored")
    app.queue.mark(entries[0], delivered=True)
    assert [one.photo for one in app.queue] == [PHOTOS[2]]
    announcer.take_ack(json.dumps({"sleep_ok": True, "nonce": 41, "now_ms": NOW}))
    announcer.take_ack(json.dumps({"sleep_ok": False, "nonce": 42, "now_ms": NOW}))
    announcer.take_ack(b"garbage")
    assert allowed == [41] and app.clock.now_ms() == NOW


async def manifests_are_said_again_on_each_connection_until_acked():
    app = App()
    announcer = Announcer(app.queue, app.clock, app, None)
    running = asyncio.create_task(announcer.run())
    for index in range(20):
        await app.queue.add(memoryview(JPEG), facts_of(index + 1, PHOTOS[index]), time.ticks_ms())
    announcer.wake()
    await until(lambda: len(app.published) == 20)
    assert app.published[0][1]["seq"] == 20, "newest first"
    app.queue.mark(app.queue.find(PHOTOS[3]), announced=True)
    announcer.say_all_again()
    await until(lambda: len(app.published) == 39)
    assert PHOTOS[3] not in [body["photo"] for _, body in app.published[20:]]
    running.cancel()


async def a_marker_that_could_not_be_renamed_is_renamed_later():
    from aa import announcer as module

    module._MARK_AGAIN_MS = 0
    app = App()
    announcer = Announcer(app.queue, app.clock, app, None)
    entry = await app.queue.add(memoryview(JPEG), facts_of(1, PHOTOS[0]), time.ticks_ms())
    os.mkdir(entry.base + ".ok")
    raises(OSError, app.queue.mark, entry, True, True)
    running = asyncio.create_task(announcer.run())
    await asyncio.sleep_ms(20)
    assert len(app.queue) == 1 and not running.done()
    os.rmdir(entry.base + ".ok")
    announcer.wake()
    await until(lambda: len(app.queue) == 0)
    running.cancel()


async def to_say_many_photos_leaves_room_for_others():
    app = App()
    announcer = Announcer(app.queue, app.clock, app, None)
    for index in range(8):
        await app.queue.add(memoryview(JPEG), facts_of(index + 1, PHOTOS[index]), time.ticks_ms())
    running = asyncio.create_task(announcer.run())
    seen = []
    while len(app.published) < 8:
        seen.append(len(app.published))
        await asyncio.sleep_ms(0)
    assert len(seen) >= 8, seen
    running.cancel()
