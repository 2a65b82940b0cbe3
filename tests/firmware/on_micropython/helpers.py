"""What several cases need."""

import asyncio
from hashlib import sha256

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x04\xb0\x06\x40\x01\x01\x11\x00" + bytes(range(1, 120)) * 3 + b"\xff\xd9"
)
PHOTOS = tuple("abcdefghijklmnopqrstuvwxy" + last for last in "234567abcdefghijklmnop")


class Rtc:
    """A clock that stands where it is put; its memory outlives a `Clock`, as through deep sleep."""

    def __init__(self):
        self.second, self.micros = 0, 0
        self.kept = b""

    def datetime(self):
        return (2000, 1, 1, 5, self.second // 3600, self.second // 60 % 60, self.second % 60, self.micros)

    def memory(self, data=None):
        if data is not None:
            self.kept = data
        return self.kept


def raises(error, call, *args):
    """Return the exception that the call raises."""
    try:
        call(*args)
    except error as cause:
        return cause
    raise AssertionError("it raised nothing")


async def araises(error, call):
    """Return the exception that the coroutine raises."""
    try:
        await call
    except error as cause:
        return cause
    raise AssertionError("it raised nothing")


async def until(condition, timeout_ms=5000):
    """Wait until `condition()` holds."""
    while not condition():
        assert timeout_ms > 0, "it never came true"
        await asyncio.sleep_ms(5)
        timeout_ms -= 5


def facts_of(seq, photo, **more):
    """Return facts as the camera has them before a photo is written."""
    facts = {
        "photo": photo,
        "seq": seq,
        "trigger": "button",
        "width": 1600,
        "height": 1200,
        "stage_ms": {"captured": 1},
    }
    facts.update(more)
    return facts


def hexdigest(data):
    return "".join("{:02x}".format(octet) for octet in sha256(data).digest())


async def serve(handler):
    """Serve TCP on a free port of the loopback. Returns (server, port)."""
    import random

    while True:
        port = random.randint(20_000, 60_000)
        try:
            return await asyncio.start_server(handler, "127.0.0.1", port), port
        except OSError:
            continue
