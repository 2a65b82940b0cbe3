"""Draws screens as a camera would: `draw_screens.py FIRMWARE LIBRARIES`, views from stdin, one JSON object a line.

Each goes through the firmware's own `Display` and the real ssd1306 onto the simulated bus; what can be seen then is
written to stdout, as JSON: {"pixels": 1,024 bytes in hex, "lines": …}.
"""

import asyncio
import json
import sys

_firmware, _libraries = sys.argv[1:3]
sys.path[:] = [__file__.rsplit("/", 1)[0], _firmware, ".frozen", _libraries]

from aa import screens  # noqa: E402 - only now can it be found
from aa.display import Display  # noqa: E402


async def draw(shot):
    """Return what one screen looks like."""
    display = Display({"sda": 1, "scl": 2, "width": 128, "height": shot["height"], "address": 0x3C})
    display.open()
    await display.show(getattr(screens, shot["screen"]), shot["view"])
    pixels = "".join("{:02x}".format(octet) for octet in display.bus.seen())
    return {"pixels": pixels, "lines": display.lines}


for line in sys.stdin:
    print(json.dumps(asyncio.run(draw(json.loads(line)))))
