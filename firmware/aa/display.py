"""The OLED, an SSD1306 on I2C: sends only what changed, page by page, so that nothing waits for it for long.

A whole picture takes 25 ms on the bus, a page of eight rows 3 ms. The flash at a press takes less than one: inverting
is a single command, and a dark panel has the picture of the flash in its memory already. A camera without a display
goes on without; `lines` is what it would show, in words.
"""

import asyncio
import time

import machine

from aa import log

_SET_CONTRAST, _SET_ON, _SET_OFF = 0x81, 0xAF, 0xAE
_SET_NORMAL, _SET_INVERSE = 0xA6, 0xA7
_SET_COLUMNS, _SET_PAGES = 0x21, 0x22
DARK, DIM, BRIGHT = 0, 0x08, 0xFF
_AGAIN_MS = 30_000


class Display:
    """`profile` is the board's oled entry, or None. `open()` comes before anything is seen."""

    def __init__(self, profile):
        self.lines = []
        self.light = DARK
        self._profile = profile
        self.bus = self._panel = self._lost_ticks = None
        self._sent = {}  # page: what the panel's memory has there
        self._inverse = False
        if profile is not None:
            self.bus = machine.SoftI2C(sda=machine.Pin(profile["sda"]), scl=machine.Pin(profile["scl"]), freq=400_000)

    @property
    def size(self):
        """Return (width, height) in pixels, also where there is none."""
        return (self._profile["width"], self._profile["height"]) if self._profile else (128, 64)

    def open(self):
        """Set the panel up, dark; what is in its memory stays there, unseen."""
        if self.bus is None or self._panel is not None:
            return
        try:
            import ssd1306

            class Panel(ssd1306.SSD1306_I2C):
                def show(self):
                    """Nothing yet: what is to be seen comes page by page."""

            self._panel = Panel(self.size[0], self.size[1], self.bus, self._profile["address"])
            self._inverse = False
            self._sent = {}
            if self.light == DARK:
                self._panel.poweroff()
        except (ImportError, OSError) as cause:
            self._lose("no display", cause)

    def _lose(self, what, cause):
        if self._lost_ticks is None:
            log.warning(what, why=log.words(cause))
        self._panel = None
        self.light = DARK
        self._lost_ticks = time.ticks_ms()

    def _is_there(self):
        """Whether there is a panel; one that was lost (a loose wire) is looked for now and then."""
        lost = self._lost_ticks
        if self._panel is None and lost is not None and time.ticks_diff(time.ticks_ms(), lost) >= _AGAIN_MS:
            self.open()
            if self._panel is not None:
                self._lost_ticks = None
        return self._panel is not None

    def tell(self, draw, view):
        """Have a screen in `lines` only. Returns the page."""
        from aa.page import Page  # what draws is loaded once there is time for it

        page = Page(self._panel, *self.size)
        draw(page, view)
        self.lines = page.lines
        return page

    async def show(self, draw, view, light=BRIGHT, shift=0):
        """Show a screen: `draw(page, view)` makes it; `shift` moves it by a pixel (bit 0: right, 1: down)."""
        if not self._is_there():
            self.tell(draw, view)
            return
        try:
            inverse = self._compose(draw, view, shift)
            self._invert(inverse)
            for page in range(self.size[1] // 8):
                self._send(page)
                await asyncio.sleep_ms(0)  # whatever is more urgent comes in between
            self.shine(light)
        except OSError as cause:
            self._lose("display lost", cause)

    def show_now(self, draw, view):
        """Show a screen before anything else runs."""
        if not self._is_there():
            self.tell(draw, view)
            return
        try:
            self._invert(self._compose(draw, view, 0))
            for page in range(self.size[1] // 8):
                self._send(page)
            self.shine(BRIGHT)
        except OSError as cause:
            self._lose("display lost", cause)

    def _compose(self, draw, view, shift):
        self._panel.fill(0)
        page = self.tell(draw, view)
        if shift:
            self._panel.scroll(shift & 1, shift >> 1 & 1)
        return page.inverse

    def _send(self, page):
        width = self.size[0]
        at = page * width
        new = self._panel.buffer[at : at + width]
        if self._sent.get(page) != new:
            for command in (_SET_COLUMNS, 0, width - 1, _SET_PAGES, page, page):
                self._command(command)
            self._panel.write_data(new)
            self._sent[page] = new

    def _command(self, command):
        self.bus.writeto(self._profile["address"], bytes((0x80, command)))

    def _invert(self, inverse):
        if inverse != self._inverse:
            self._command(_SET_INVERSE if inverse else _SET_NORMAL)
            self._inverse = inverse

    def shine(self, light):
        """Be `DARK`, `DIM` or `BRIGHT`."""
        if self._panel is None or light == self.light:
            return
        try:
            if light:
                self._command(_SET_CONTRAST)
                self._command(light)
            if (light == DARK) != (self.light == DARK):
                self._command(_SET_ON if light else _SET_OFF)
            self.light = light
        except OSError as cause:
            self._lose("display lost", cause)

    def flash(self):
        """Turn the whole panel to its negative, at once: a camera that wakes by a press has not even opened it yet."""
        if self.bus is None:
            return
        try:
            for command in (_SET_CONTRAST, BRIGHT, _SET_INVERSE, _SET_ON):
                self._command(command)
            self._inverse, self.light = True, BRIGHT
        except OSError:
            pass  # there is none, or its wire is loose: `show` says so

    def blink(self):
        """Turn the panel to its negative, or back."""
        if self._panel is not None:
            try:
                self._invert(not self._inverse)
            except OSError as cause:
                self._lose("display lost", cause)

    def off(self):
        """Go dark, with the picture of the flash ready for the next press."""
        from aa import screens

        if self._panel is None:
            return
        lines = self.lines
        self.shine(DARK)
        try:
            self._compose(screens.flash, {"name": ""}, 0)
            self._invert(False)
            for page in range(self.size[1] // 8):
                self._send(page)
        except OSError as cause:
            self._lose("display lost", cause)
        self.lines = lines
