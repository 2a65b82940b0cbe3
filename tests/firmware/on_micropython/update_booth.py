"""A camera with two slots and a server of bundles that is a dict, for the cases of updates."""

import asyncio
import json
import os
import sys
from binascii import hexlify
from hashlib import sha256

from aa import slots
from aa.ftpwire import FtpError
from aa.update import Updater
from helpers import hexdigest, until

KEY = bytes(range(32))
FILES = {
    "aa/__init__.py": b"VERSION = '9'\n",
    "aa/app.py": bytes(9000),
    "aa/deep/er.mpy": b"M\x06",
    "boards/sim.py": b"# sim",
}


def sign(key, data):
    """HMAC-SHA256 once more, in other words."""
    block = key + bytes(64 - len(key))
    inside = sha256(bytes([octet ^ 0x36 for octet in block]) + data).digest()
    return hexlify(sha256(bytes([octet ^ 0x5C for octet in block]) + inside).digest())


def manifest(contents, **more):
    """Return the bundle.json of some files."""
    facts = {"format": 1, "version": "9", "mpy": "", "boards": ["sim"]}
    facts["files"] = [
        {"path": path, "bytes": len(data), "sha256": hexdigest(data)} for path, data in sorted(contents.items())
    ]
    facts.update(more)
    return json.dumps(facts).encode()


class App:
    """Real slots in the working folder; a server that is a dict, and as reliable as it is told to be."""

    def __init__(self, contents=FILES, key=KEY, **more):
        slots._FILE = "slots.json"
        sys.path.insert(0, "/a")
        self.secrets = {"update_key": hexlify(KEY).decode()}
        self.served = dict(contents)
        self.served["bundle.json"] = manifest(contents, **more)
        self.served["bundle.sig"] = sign(key, self.served["bundle.json"]) + b"\n"
        self.wifi = self.uploader = self.mqtt = self.commands = self.face = self.board = self.power = self.battery = (
            self
        )
        self.name, self.percent, self.on_usb = "sim", None, False
        self.read, self.replies, self.ended, self.reboots = [], [], [], 0
        self.fail, self.is_up = None, True
        self.start()

    def start(self):
        self.updater = Updater(self, ".")
        self.running = asyncio.create_task(self.updater.run())

    def stop(self):
        self.running.cancel()

    async def wait_up(self):
        pass

    def sample(self):
        pass

    def is_online(self):
        return self.is_up

    async def between(self, work):
        await work(self)

    async def retrieve(self, path, take):
        assert path.startswith("/firmware/new/"), path
        self.read.append(path[len("/firmware/new/") :])
        if self.fail:
            self.fail(self.read[-1])
        data = self.served.get(self.read[-1])
        if data is None:
            raise FtpError(550, "There is no such file.")
        for at in range(0, len(data), 4096):
            take(memoryview(data)[at : at + 4096])
            await asyncio.sleep_ms(0)

    def publish(self, kind, body, retain=False):
        self.replies.append(json.loads(body))

    def changed(self):
        pass

    def finish(self, command, ok, error=None, detail=None):
        self.ended.append((command, ok, error))

    async def reboot(self):
        assert self.updater.pulse._until is None, "the watchdog would bite while photos are written down"
        self.reboots += 1
        await asyncio.sleep_ms(3_600_000)

    async def outcome(self):
        await until(lambda: self.ended or self.reboots)
        return self.ended[-1] if self.ended else "reboots"


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
