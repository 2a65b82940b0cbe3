"""The bench that a virtual camera lies on: how its simulated hardware talks with the program that runs it.

One connection carries events: from the program "press 80", "wifi down", "battery 3700", to it pictures of the OLED.
Each frame has a short connection of its own. When the program closes its end it is gone, and the camera goes as well.

What lasts (a network out of reach, a card that was pulled) is as true after a reset as before: the program keeps the
last words of each kind, and hands them over before anything else.
"""

import asyncio
import json
import os
import select
import socket
import struct
import sys
import time

DEEP_SLEEP = 75
RESET = 76
MOMENTS = ("press", "frames", "hang")  # these pass; all else that is said lasts
_AF_UNIX = 1
_TIMEOUT_S = 10

_path = os.getenv("APERTURE_BENCH")
_events = _listener = None
_handlers = {}
_missed = []
_world = {}


def connect():
    """Return a connection to the program (a Unix domain socket), or None where there is none."""
    if not _path:
        return None
    sock = socket.socket(_AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(_TIMEOUT_S)
    sock.connect(struct.pack("<H", _AF_UNIX) + _path.encode() + b"\0")
    return sock


def tell(line, body):
    """Send a line and a body, and wait for nothing."""
    if _events is not None:
        _events.write("{} {}\n".format(line, len(body)).encode() + body)


def ask(line):
    """Send a line; return the answer's bytes, b"" where there is no program."""
    sock = connect()
    if sock is None:
        return b""
    try:
        sock.write(line.encode() + b"\n")
        size = int(sock.readline() or b"0")
        answer = bytearray(size)
        view = memoryview(answer)
        at = 0
        while at < size:
            count = sock.readinto(view[at:])
            if not count:
                raise OSError(5)  # EIO
            at += count
        return answer
    finally:
        sock.close()


def on(event, handler):
    """Have `handler(*words)` called, as a coroutine, for each event of that name.

    Where something of that name is true already, it is called now, and must wait for nothing.
    """
    _handlers[event] = handler
    if event in _world:
        try:
            handler(*_world[event]).send(None)
        except StopIteration:
            return
        raise RuntimeError(event + ": its handler waits")


def doze(timeout_ms):
    """Stop everything until a press, which is all that is left of it, or the end of `timeout_ms`; -1 is never.

    Returns whether there was a press. What else happens meanwhile is noticed afterwards.
    """
    poll = select.poll()
    poll.register(_events, select.POLLIN)
    until = time.ticks_add(time.ticks_ms(), timeout_ms)
    while True:
        left_ms = time.ticks_diff(until, time.ticks_ms())
        if timeout_ms >= 0 and left_ms <= 0:
            return False
        if poll.poll(left_ms if timeout_ms >= 0 else -1):
            line = _events.readline()
            if line.startswith(b"press"):
                return True
            _missed.append(line)
            if not line:
                return False


class Flag:
    """Stands in for asyncio's ThreadSafeFlag, which a PC polls each ms, at 2 % of a core for each camera.

    Simulated interrupts come from the event loop itself, so nothing needs to wake it.
    """

    def __init__(self):
        self._event = asyncio.Event()

    def set(self):
        """Have the one who waits go on."""
        self._event.set()

    async def wait(self):
        """Wait for `set`, once for each."""
        await self._event.wait()
        self._event.clear()


async def _next_line(stream):
    return _missed.pop(0) if _missed else await stream.readline()


async def _listen():
    stream = asyncio.StreamReader(_events)
    while True:
        words = (await _next_line(stream)).decode().split()
        if not words:
            sys.exit(0)
        event = words.pop(0)
        if event not in MOMENTS:
            _world[event] = words  # who asks later is told then
        while event in MOMENTS and event not in _handlers:  # it may come before the firmware has set up its pin
            await asyncio.sleep_ms(5)
        if event in _handlers:
            await _handlers[event](*words)


def start():
    """Connect, and listen from the moment that the firmware's event loop runs."""
    global _events, _listener, _world
    _events = connect()
    if _events is not None:
        _events.write(b"events\n")
        _world = json.loads(_events.readline())
        _listener = asyncio.create_task(_listen())
