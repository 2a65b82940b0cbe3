"""The camera: puts the parts together and keeps them running.

Useful entry points: `shutter` (a press), `capture` (a frame), `queue` (photos in files), `announcer` (their manifests,
MQTT), `uploader` (their bytes, FTP), `commands` (what the server asks), `sleeper` (when to sleep), `power` (the end
of each run).
"""

import asyncio
import gc
import time

import machine

from aa import VERSION, board, log, rescue
from aa.announcer import Announcer
from aa.capture import NoFrame, Sensor
from aa.clock import Clock
from aa.commands import Commands
from aa.display import Display
from aa.ids import new_photo_id
from aa.journal import Journal
from aa.messages import encode_status
from aa.mqtt import Mqtt
from aa.power import Power
from aa.queue import Queue, StorageFull
from aa.settings import Settings, load_secrets
from aa.shutter import Shutter
from aa.sleeper import Sleeper
from aa.uploader import Uploader
from aa.wifi import Wifi

_RESTART_MS = 1_000
_MOST_FAILURES = 3
_STATUS_CHANGE_MS = 1_000
_REDRAW_MS = 150


class App:
    """One camera. The shutter is made first: a press counts from the first moment on."""

    def __init__(self, folder=""):
        self.secrets = load_secrets(folder + "/secrets.json")
        profile = board.load_profile(self.secrets["board"])
        self.shutter = Shutter(profile["shutter"])
        self._woken_by = board.woken_by()
        if self._woken_by == "press":
            self.shutter.press(self.shutter.kind)
        self.board = board.Board(profile)
        self.settings = Settings(folder + "/settings.json", profile["settings"])
        self.clock = Clock(machine.RTC())
        self.display = Display(profile["oled"])
        self.sensor = Sensor(profile["camera"], self.settings)
        self.folder, self.queue = self._open_queue(self.board.mount_card())
        self._spare = None  # the queue on flash, once the card takes no more
        self._resetting = None
        self.journal = Journal(folder + "/commands.json")
        self._connect_parts()

    def _open_queue(self, folder):
        """Return (folder, queue): on the card, or on flash when the card can be mounted but not used."""
        try:
            if rescue.move_photos(board.FLASH_FOLDER, folder):
                return folder, Queue(folder)
            log.error("card takes no photo: photos wait on flash")
        except OSError as cause:
            if folder == board.FLASH_FOLDER:
                raise
            log.error("card unreadable: photos wait on flash", cause)
        return board.FLASH_FOLDER, Queue(board.FLASH_FOLDER)

    def _connect_parts(self):
        self.wifi = Wifi(self.secrets)
        self.mqtt = Mqtt(self.secrets, self._on_up, self._on_message)
        self.power = Power(self)
        self.sleeper = Sleeper(self, self._woken_by == "timer")
        self.announcer = Announcer(self.queue, self.clock, self.mqtt, self.sleeper.allowed)
        self.uploader = Uploader(self.secrets, self.queue, self._on_delivered)
        self.commands = Commands(self)
        self._news = asyncio.Event()
        self._redraw = asyncio.Event()
        self._last = ""
        for part in (self.wifi, self.mqtt, self.uploader):
            part.changed = self._changed
        self.wifi.lost = self._on_wifi_lost

    async def run(self):
        """Run for ever, or until the camera sleeps or reboots."""
        log.info("camera", version=VERSION, board=self.board.name, queue=len(self.queue), cause=board.reset_cause())
        parts = (
            ("shooter", self._shoot_for_ever),
            ("shutter", self.shutter.watch),
            ("wifi", self.wifi.run),
            ("mqtt", lambda: self.mqtt.run(self.wifi)),
            ("ftp", lambda: self.uploader.run(self.wifi)),
            ("announcer", self.announcer.run),
            ("commands", self.commands.run),
            ("display", self._show_for_ever),
            ("status", self._status_for_ever),
            ("sleeper", self.sleeper.run),
        )
        tasks = [asyncio.create_task(self._keep(name, part)) for name, part in parts]
        self.board.start_watchdog()
        while not all(task.done() for task in tasks):
            self.board.feed_watchdog()
            await asyncio.sleep_ms(1_000)

    async def _keep(self, name, part):
        """Start a part again when it fails: a bug in one must not stop the shutter."""
        while True:
            try:
                await part()
                return
            except Exception as cause:
                log.error("part failed", cause, part=name)
            await asyncio.sleep_ms(_RESTART_MS)

    async def _shoot_for_ever(self):
        try:
            self.sensor.open()
        except NoFrame as cause:
            log.error("no camera", cause)  # each press tries again
        failures = 0
        while True:
            press = await self.shutter.wait()
            self.sleeper.activity(by_owner=press.command is None)
            try:
                await self._shoot(press)
                failures = 0
            except Exception as cause:  # whatever it was, the next press is to find a camera
                failures += not isinstance(cause, StorageFull)
                self._no_photo(press, cause)
            finally:
                self.shutter.done()
            self._changed()
            gc.collect()
            if self._resetting is None and (failures >= _MOST_FAILURES or self._spare is not None):
                log.error("sensor or card hangs: reset")  # what a driver that hangs needs
                self._resetting = asyncio.create_task(self.power.reboot())  # beside this: presses still count

    def _no_photo(self, press, cause):
        log.error("no photo", cause, trigger=press.trigger)
        self._last = "NO PHOTO: " + type(cause).__name__
        if press.command:
            code = "storage_full" if isinstance(cause, StorageFull) else "no_photo"
            self.commands.finish(press.command, False, code, log.words(cause))

    async def _shoot(self, press):
        stamp = self.clock.stamp(time.ticks_diff(time.ticks_ms(), press.ticks))
        async with self.sensor.lock:
            frame, width, height = await self.sensor.shoot()
            captured = time.ticks_ms()
            facts = {
                "photo": new_photo_id(),
                "seq": self.queue.next_seq(),
                "trigger": press.trigger,
                "command": press.command,
                "width": width,
                "height": height,
                "stage_ms": {"captured": time.ticks_diff(captured, press.ticks)},
            }
            facts.update(stamp)
            entry = await self._keep_photo(frame, facts, captured)
            self.sensor.release()
        entry.taken_ticks = press.ticks
        self.announcer.say(entry, facts)
        log.info("photo taken", photo=entry.photo, seq=entry.seq, bytes=facts["bytes"], trigger=press.trigger)
        self._last = "#{} taken".format(entry.seq)
        if press.command:
            self.commands.finish(press.command, True)

    async def _keep_photo(self, frame, facts, captured):
        """Write a photo down, on flash when the card takes it no more; the next boot sees to what is there."""
        try:
            return await self.queue.add(frame, facts, captured)
        except OSError as cause:
            if self.folder == board.FLASH_FOLDER:
                raise
            log.error("card takes no photo: it goes to flash", cause)
        if self._spare is None:
            self._spare = Queue(board.FLASH_FOLDER)
        facts["seq"] = max(facts["seq"], self._spare.next_seq())
        return await self._spare.add(frame, facts, captured)

    def _on_delivered(self, entry):
        try:
            self.queue.mark(entry, delivered=True)
        except OSError as cause:  # the card, not the network; `announcer` marks it again
            log.error("photo can't be marked as handed over", cause, photo=entry.photo)
        self._last = "#{} delivered".format(entry.seq)
        self._changed()

    def _on_message(self, kind, body):
        try:
            if kind == "command":
                self.sleeper.activity()
                self.commands.take(body)
            elif kind == "ack":
                self.announcer.take_ack(body)
                self._changed()
        except OSError as cause:  # the card, not the network: the link is to stay
            log.error("message not dealt with", cause, kind=kind)

    async def _on_up(self):
        """After each connect: a broker that lost its retained messages has them again."""
        self.mqtt.publish("presence", b"online", True)
        self._publish_status()
        self.commands.say_owed()
        self.announcer.say_all_again()

    def _on_wifi_lost(self):
        self.mqtt.drop("wifi lost")
        self.uploader.drop()

    def _changed(self):
        self._news.set()
        self._redraw.set()

    async def _show_for_ever(self):
        while True:
            self._show()
            await self._redraw.wait()
            await asyncio.sleep_ms(_REDRAW_MS)  # drawing stops all else for 25 ms: not while a photo is leaving
            self._redraw.clear()

    async def _status_for_ever(self):
        while True:
            self._publish_status()
            await asyncio.sleep_ms(_STATUS_CHANGE_MS)  # news come in bursts
            try:
                await asyncio.wait_for_ms(self._news.wait(), self.settings["status_every_ms"])
            except asyncio.TimeoutError:
                pass
            self._news.clear()

    def _show(self):
        waiting = len(self.queue)
        self.display.show([
            self.secrets["camera"],
            "ready" if not waiting else "{} to send".format(waiting),
            "wifi " + self.wifi.state,
            "mqtt " + self.mqtt.state,
            "ftp " + self.uploader.state,
            self._last,
        ])

    def _publish_status(self):
        facts = self.board.telemetry(self.folder)
        facts.update({
            "rssi_dbm": self.wifi.rssi_dbm(),
            "queue": len(self.queue),
            "uptime_ms": self.clock.uptime_ms(),
            "firmware": VERSION,
            "sensor": self.sensor.name,
            "display": self.display.lines,
        })
        self.mqtt.publish("status", encode_status(facts), True)

    def is_busy(self):
        """Whether there is something to finish before sleep: a command, a press, or photos that can get out."""
        return self.commands.busy or self.shutter.busy or (len(self.queue) > 0 and self.wifi.state == "up")

    async def leave(self, presence, grace_ms=0):
        """Say good-bye to the broker."""
        self.mqtt.publish("presence", presence.encode(), True)
        await asyncio.sleep_ms(grace_ms)
        await self.mqtt.leave()
