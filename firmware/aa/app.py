"""The camera: puts the parts together.

Useful entry points: `shutter` (a press), `shooter` (from it to a photo), `capture` (a frame), `storage` and `queue`
(photos in files), `announcer` (their manifests, MQTT), `uploader` (their bytes, FTP), `commands` (what the server
asks), `update` (new firmware), `face` (display and status), `sleeper` (when to sleep), `power` (the end of each run),
`supervisor`.
"""

import asyncio
import gc

import machine

from aa import VERSION, board, log
from aa.announcer import Announcer
from aa.battery import Battery, ShotCost
from aa.capture import Sensor
from aa.clock import Clock
from aa.commands import Commands
from aa.display import Display
from aa.face import Face
from aa.journal import Journal
from aa.mqtt import UP, Mqtt
from aa.power import Power
from aa.secrets import load_secrets
from aa.settings import Settings
from aa.shooter import Shooter
from aa.shutter import Shutter
from aa.sleeper import Sleeper
from aa.sntp import Sntp
from aa.storage import Storage
from aa.supervisor import Supervisor
from aa.tls import Tls
from aa.update import Updater
from aa.uploader import Uploader
from aa.wifi import Wifi

_PHOTO_MS = 4_000


class App:
    """One camera. The shutter is made first: a press counts from the first moment on."""

    def __init__(self, folder=""):
        self.secrets = load_secrets(folder + "/secrets.json")
        profile = board.load_profile(self.secrets["board"])
        self.shutter = Shutter(profile["shutter"])
        self.woken_by = board.woken_by()
        if self.woken_by == "press":
            self.shutter.press(self.shutter.kind)
        self.board = board.Board(profile)
        defaults = board.default_settings(profile)
        self.settings = Settings(folder + "/settings.json", defaults, self.secrets.get("settings"))
        self.settings.limit("board " + self.board.name, board.limits(profile))
        self.battery = Battery(profile, self.settings)  # before the radio: it may be on ADC2
        self.cost = ShotCost(profile["draw_ma"])
        self.clock = Clock(machine.RTC())
        self.display = Display(profile["oled"])
        self.face = Face(self)
        self.face.boot()
        self.sensor = Sensor(profile["camera"], self.settings)
        self.storage = Storage(self.board.mount_card(), folder, profile.get("flash_photos", 64))
        self.queue = self.storage.queue
        self.journal = Journal(folder + "/commands.json")
        self._make_links(folder)

    def _make_links(self, folder):
        tls = Tls(folder + "/ca.der")
        self.wifi = Wifi(self.secrets, folder + "/wifi.json")
        self.mqtt = Mqtt(self.secrets, self._on_up, self._on_message, tls)
        self.power = Power(self)
        self.sleeper = Sleeper(self, self.woken_by == "timer")
        self.shooter = Shooter(self)
        self.announcer = Announcer(self.queue, self.clock, self.mqtt, self.sleeper.allowed)
        self.uploader = Uploader(self.secrets, self.queue, self._on_delivered, tls)
        self.sntp = Sntp(self.secrets["ntp"], self.clock)
        self.updater = Updater(self)
        self.commands = Commands(self)
        for part in (self.wifi, self.mqtt, self.uploader):
            part.changed = self.face.changed
        self.mqtt.heard = self.uploader.heard = self.wifi.heard
        self.wifi.lost = self._on_wifi_lost

    async def run(self):
        """Run for ever, or until the camera sleeps or reboots."""
        log.info("camera", version=VERSION, board=self.board.name, queue=len(self.queue), cause=board.reset_cause())
        await Supervisor(self.board).run((
            ("shooter", self.shooter.run, self.shooter.pulse),
            ("keeper", self.shooter.keep_for_ever, self.shooter.keeping),
            ("queue", self.queue.run, self.queue.pulse),
            ("shutter", self.shutter.watch, self.shutter.pulse),
            ("wifi", self._run_wifi, self.wifi.pulse),
            ("mqtt", lambda: self.mqtt.run(self.wifi), self.mqtt.pulse),
            ("ftp", lambda: self.uploader.run(self.wifi), self.uploader.pulse),
            ("ntp", lambda: self.sntp.run(self.wifi), self.sntp.pulse),
            ("announcer", self.announcer.run, self.announcer.pulse),
            ("commands", self.commands.run, self.commands.pulse),
            ("update", self.updater.run, self.updater.pulse),
            ("display", self.face.show_for_ever, self.face.showing),
            ("status", self.face.tell_for_ever, self.face.telling),
            ("sleeper", self.sleeper.run, self.sleeper.pulse),
        ))

    async def _run_wifi(self):
        """Keep Wi-Fi up. A photo that woke the camera comes first: the radio may drain its last charge."""
        if self.woken_by == "press":
            await self.shooter.first_photo(_PHOTO_MS)
        if self.battery_state() == "critical" and self.woken_by:
            return  # its good-bye was said before it slept; the radio might take the rest of the battery
        await self.wifi.run()

    def battery_state(self):
        """Return "ok", "low" or "critical"; None where there is no battery, or no way to know."""
        return self.battery.state

    def is_online(self):
        """Whether the broker hears us."""
        return self.mqtt.state == UP

    def _on_delivered(self, entry):
        try:
            self.queue.mark(entry, delivered=True)
        except OSError as cause:  # the card, not the network; `announcer` marks it again
            log.error("photo can't be marked as handed over", photo=entry.photo, why=log.words(cause))
        self.cost.sent(entry)
        self.face.delivered(entry)
        if not self.shutter.busy:
            gc.collect()  # in much RAM it takes long: nobody waits for it now, and until the photo had left someone did

    def _on_message(self, kind, body):
        try:
            if kind == "command":
                self.sleeper.activity()
                self.commands.take(body)
            elif kind == "ack":
                self.announcer.take_ack(body)
                self.face.changed()
            elif kind == "photo":
                self.face.told(body)
        except OSError as cause:  # the card, not the network: the link is to stay
            log.error("message not dealt with", kind=kind, why=log.words(cause))

    async def _on_up(self):
        """After each connect: a broker that lost its retained messages has them again."""
        self.updater.online()
        self.mqtt.publish("presence", b"online", True)
        self.face.tell()
        self.commands.say_owed()
        self.announcer.say_all_again()

    def expect_photo(self):
        """Someone pressed: the way to the server is made ready while the frame is taken."""
        self.wifi.hurry()
        self.mqtt.hurry()
        self.uploader.expect()

    def _on_wifi_lost(self):
        self.mqtt.drop("wifi lost")
        self.uploader.drop("wifi lost")

    def is_busy(self):
        """Whether there is something to finish before sleep: a command, a press, or what a network is there for."""
        if self.commands.busy or self.shutter.busy:
            return True
        waiting = self.queue.has_hope or not self.queue.is_counted
        return (waiting or self.updater.busy) and self.wifi.state == "up"

    def come_back(self, woken_by):
        """Go on after light sleep."""
        self.woken_by = woken_by
        self.battery.sample()  # the radio is still off
        self.sensor.unsettle()
        self.wifi.hurry()
        self.uploader.drop("it slept")
        self.mqtt.come_back()

    async def leave(self, presence, grace_ms=0):
        """Say good-bye to the broker."""
        self.mqtt.publish("presence", presence.encode(), True)
        await asyncio.sleep_ms(grace_ms)
        await self.mqtt.leave()
