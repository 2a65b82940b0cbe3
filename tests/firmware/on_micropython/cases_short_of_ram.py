"""An update that wants more RAM than there is, on a heap as small as a camera's: refused, in words, and no more."""

import asyncio
import gc
import sys

from aa import slots, update
from aa.update import Updater
from helpers import until

_LEFT = 48_000
_PIECE = bytes(4096)


class App:
    """A server with a list of files that is as long as one may be; it is made on the way."""

    def __init__(self):
        slots._FILE = "slots.json"
        sys.path.insert(0, "/a")
        update.Backoff = lambda *_: self
        self.secrets = {"update_key": "00" * 32}
        self.wifi = self.uploader = self.mqtt = self.commands = self.face = self.board = self.battery = self
        self.name, self.percent, self.ended, self.tries = "sim", None, [], 0
        self.updater = Updater(self, ".")
        self.running = asyncio.create_task(self.updater.run())

    def next_ms(self):
        return 1

    async def wait_up(self):
        pass

    def sample(self):
        pass

    async def between(self, work):
        await work(self)

    async def retrieve(self, path, take):
        self.tries += path.endswith("bundle.json")
        for _ in range(10 if path.endswith("bundle.json") else 1):
            take(memoryview(_PIECE))
            await asyncio.sleep_ms(0)

    def changed(self):
        pass

    def finish(self, *words):
        self.ended.append(words)


async def an_update_too_large_for_its_ram_is_refused_in_words():
    app = App()
    ballast = []
    gc.collect()
    while gc.mem_free() > _LEFT:
        ballast.append(bytearray(2048))
    app.updater.begin("c1", {"bundle": "new"})
    await until(lambda: app.ended)
    [(command, ok, error, detail)] = app.ended
    assert (command, ok, error) == ("c1", False, "interrupted") and detail.startswith("short of RAM"), app.ended
    assert app.tries == 10, "it may be short for a moment only"
    gc.collect()
    assert gc.mem_free() > _LEFT - 4_096, "all that it took is given back"
    ballast.clear()
    app.updater.begin("c2", {"bundle": "new"})
    await until(lambda: len(app.ended) == 2)
    assert app.ended[1][2] == "bad_signature", "with the RAM it is read, and judged"
