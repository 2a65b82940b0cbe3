"""What a press needs around a `Shooter`, and no more."""

import asyncio
import time
from array import array

from aa import jpeg
from aa.battery import ShotCost
from aa.capture import NoFrame, Shot
from aa.files import make_folder
from aa.shooter import Shooter
from aa.shutter import Shutter
from aa.storage import Storage
from helpers import JPEG, Face


class Lens:
    """A sensor that gives `frame` over and over, or nothing; a frame is no more once it is released."""

    def __init__(self, works=True):
        self.lock, self.works = asyncio.Lock(), works
        self.frame, self.labels, self.given = JPEG, [], None
        self.opened = self.settled = 0

    def open(self):
        self.opened += 1

    async def settle(self):
        self.settled += 1

    def release(self):
        for at in range(len(self.given or ())):
            self.given[at] = 0

    async def shoot(self):
        if not self.works:
            raise NoFrame("nothing")
        self.given = array("b", self.frame)
        return Shot(memoryview(self.given), jpeg.Head(self.frame), self.labels)


class Booth:
    """An app with a real shutter, shooter and storage; resets are counted."""

    woken_by = None

    def __init__(self, works=True, card=True):
        for folder in ("card", "flash"):
            make_folder(folder)
        self.shutter = Shutter({"kind": "button", "pin": 12, "active": 0, "wake": "ext0"})
        self.sensor, self.face = Lens(works), Face()
        self.storage = Storage("card" if card else None, "flash", 64)
        self.queue = self.storage.queue
        self.cost = ShotCost({"camera": 100, "send": 200})
        self.sleeper = self.clock = self.announcer = self.commands = self.power = self.board = self
        self.resets, self.said, self.finished, self.lit = [], [], [], []
        self.battery = None
        self.shooter = Shooter(self)
        self.running = asyncio.create_task(self.shooter.run())
        self.keeping = asyncio.create_task(self.shooter.keep_for_ever())

    def activity(self, **_):
        pass

    def expect_photo(self):
        pass

    def battery_state(self):
        return self.battery

    def light(self, on):
        self.lit.append(on)

    def uptime_ms(self):
        return 9_000

    def stamp(self, _):
        return {}

    def say(self, _, facts):
        self.said.append(facts["photo"])

    def finish(self, *words):
        self.finished.append(words)

    async def reboot(self):
        self.resets.append(time.ticks_ms())
