"""The OLED: eight lines of sixteen characters, redrawn only when they change. A camera without one goes on without."""

import asyncio

import machine

from aa import log

_COLUMNS = 16
_LINE_PX = 8


class Display:
    """`profile` is the board's oled entry, or None. `lines` is what it shows, also where there is none."""

    def __init__(self, profile):
        self.lines = []
        self._oled = None
        self._rows = 8
        if profile is None:
            return
        try:
            import ssd1306

            bus = machine.SoftI2C(sda=machine.Pin(profile["sda"]), scl=machine.Pin(profile["scl"]), freq=400_000)
            self._oled = ssd1306.SSD1306_I2C(profile["width"], profile["height"], bus, profile["address"])
            self._rows = profile["height"] // _LINE_PX
        except (ImportError, OSError) as cause:
            log.warning("no display", why=log.words(cause))

    def show(self, lines):
        """Show these lines. Returns whether they are new."""
        lines = [line[:_COLUMNS] for line in lines][: self._rows]
        while lines and not lines[-1]:
            lines.pop()
        if lines == self.lines:
            return False
        self.lines = lines
        self._draw()
        return True

    def _draw(self):
        if self._oled is None:
            return
        try:
            self._oled.fill(0)
            for row, line in enumerate(self.lines):
                self._oled.text(line, 0, row * _LINE_PX)
            self._oled.show()
        except OSError as cause:
            log.warning("display lost", why=log.words(cause))
            self._oled = None

    async def blink(self, times=6, every_ms=250):
        """Blink so that someone can tell which camera this is."""
        for turn in range(times):
            if self._oled is not None:
                self._oled.invert(1 - turn % 2)
            await asyncio.sleep_ms(every_ms)
        if self._oled is not None:
            self._oled.invert(0)

    def off(self):
        """Go dark."""
        if self._oled is not None:
            self._oled.poweroff()

    def on(self):
        """Show again what it showed before `off`."""
        if self._oled is not None:
            self._oled.poweron()
