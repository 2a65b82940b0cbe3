"""One picture for the display, and the same in words: letters, icons, gauges, bars, and how they are laid out.

`screens` composes pages of it, `lettering` makes words fit, `glyphs` has the shapes. A panel of 32 rows has no header.
"""

import framebuf

from aa import glyphs
from aa.lettering import LETTER_PX, column_of, fitted, number_of, shortened, width_of

_MARGIN = 2
_BODY_Y = 16  # panels in two colours change theirs there
_TEXT_X = 32
_MONO = framebuf.MONO_VLSB
_DARK = framebuf.FrameBuffer(bytearray(b"\x01\x00"), 2, 1, _MONO)  # a palette: paper lit, ink dark
_BITS = (None, memoryview(glyphs.SIZE_1), memoryview(glyphs.SIZE_2), memoryview(glyphs.SIZE_3))
_FIRST_COLUMN = (0, 0, 0, column_of(number_of("0")))  # size 3 has only digits
_SIGNAL = ("no Wi-Fi", "signal weak", "signal fair", "signal good", "signal strong")


class Page:
    """Draws on `frame`, a framebuf.FrameBuffer of `height` rows, or on None for the words alone, which are `lines`."""

    def __init__(self, frame, width=128, height=64):
        self._frame = frame
        self.width, self.height = width, height
        self.tall = height >= 64
        self.inverse = False  # the whole panel is to show black on white
        self.lines = []

    def say(self, words):
        """Have a line of words."""
        if words:
            self.lines.append(words)

    def text(self, words, x, y, size=1, dark=False):
        """Draw a text with its upper left corner there; `dark` on what is lit."""
        if self._frame is None:
            return
        for letter in words:
            number = number_of(letter)
            wide = glyphs.WIDTHS[number]
            if size > 3 or (size == 3 and not letter.isdigit()):
                self._dots(number, x, y, size)
            else:
                at = (column_of(number) - _FIRST_COLUMN[size]) * size * size
                shape = (_BITS[size][at : at + wide * size * size], wide * size, LETTER_PX * size, _MONO)
                if dark:
                    self._frame.blit(shape, x, y, 1, _DARK)
                else:
                    self._frame.blit(shape, x, y, 0)
            x += (wide + 1) * size

    def _dots(self, number, x, y, size):
        """Draw a letter in a size that the font has not, with the same slopes."""
        at = column_of(number)
        columns = b"\x00" + glyphs.SIZE_1[at : at + glyphs.WIDTHS[number]] + b"\x00"
        for place in range(1, len(columns) - 1):
            column = columns[place]
            for row in range(LETTER_PX):
                if column >> row & 1:
                    self.box(x, y + row * size, size, size)
                    continue
                for side in (-1, 1):
                    for end in (-1, 1):
                        beside, over = columns[place + side], row + end
                        if over >= 0 and beside >> row & 1 and column >> over & 1 and not beside >> over & 1:
                            self._slope(x, y + row * size, size, side, end)
            x += size

    def _slope(self, x, y, size, side, end):
        """Fill the corner of a dot: left or right (`side` -1 or 1), upper or lower (`end` -1 or 1)."""
        for step in range(size - 1):
            wide = size - 1 - step
            self.box(x if side < 0 else x + size - wide, y + step if end < 0 else y + size - 1 - step, wide, 1)

    def text_right(self, words, right, y, dark=False):
        """Draw a small text that ends before `right`. Returns where it starts."""
        x = right - width_of(words)
        self.text(words, x, y, 1, dark)
        return x

    def icon(self, shape, x, y):
        """Draw an icon of `glyphs`."""
        if self._frame is not None:
            self._frame.blit((memoryview(shape)[2:], shape[0], shape[1], _MONO), x, y, 0)

    def box(self, x, y, width, height, filled=True):
        """Draw a rectangle."""
        if self._frame is not None and width > 0:
            self._frame.rect(x, y, width, height, 1, filled)

    def header(self, view):
        """Say whose camera this is and how it fares: name to the left, signal and battery to the right."""
        self.say(view["name"])
        battery = view["battery"]
        power = "on USB power" if view["plugged"] else "" if battery is None else "battery {}%".format(battery)
        self.say(_SIGNAL[view["bars"]] + (", " + power if power else ""))
        if self.tall:
            right = self.gauges(view, 2) - 4
            self.text(shortened(view["name"], right - _MARGIN), _MARGIN, 2)
            self.box(_MARGIN, 12, self.width - 2 * _MARGIN, 1)

    def gauges(self, view, y):
        """Draw battery and signal at the right edge. Returns where they start."""
        x = self.width - _MARGIN
        battery = view["battery"]
        if view["plugged"]:
            x -= glyphs.PLUG[0] - 1
            self.icon(glyphs.PLUG, x, y - 1)
            x -= 3
        elif battery is not None:
            x -= 13
            self.box(x, y, 12, 7, False)
            self.box(x + 12, y + 2, 1, 3)
            self.box(x + 2, y + 2, (battery * 8 + 50) // 100, 3)
            x = (self.text_right("{}%".format(battery), x - 2, y) if self.tall else x) - 4
        x -= 11
        for bar in range(4):
            high = 2 + bar * 5 // 3 if bar < view["bars"] else 1
            self.box(x + 3 * bar, y + 7 - high, 2, high)
        if not view["bars"]:
            self.text("x", x + 3, y - 2)
        return x

    def card(self, icon, title, details, title_lines=1, below=0):
        """Draw an icon, a title, and small lines; `below` rows stay free for more."""
        self.say(title)
        for detail in details:
            self.say(detail)
        top = _BODY_Y if self.tall else 0
        space = self.height - top - below
        x = _MARGIN
        if space >= icon[1]:
            self.icon(icon, x, top + (space - icon[1]) // 2)
            x = _TEXT_X
        self.column(title, details, x, top, space, title_lines)

    def column(self, title, details, x, top, space, title_lines=1):
        """Draw a title in the largest letters that fit, and small lines below it."""
        room = self.width - _MARGIN - x
        gap = 3 if self.tall and details else 0
        rows = space - gap - len(details) * LETTER_PX
        size, lines = fitted(title, room, min(rows, title_lines * 2 * LETTER_PX))
        y = top + (rows - len(lines) * size * LETTER_PX) // 2
        for line in lines:
            self.text(line, x, y, size)
            y += size * LETTER_PX
        for detail in details:
            self.text(shortened(detail, room), x, y + gap)
            y += LETTER_PX + gap // 2

    def banner(self, words):
        """Fill the whole panel with some words, between the corners of a viewfinder."""
        self.say(words)
        size, lines = fitted(words, self.width - 2 * _MARGIN, self.height - 16, (5, 4, 3, 2, 1))
        y = (self.height - len(lines) * size * LETTER_PX) // 2 + size // 2
        for line in lines:
            self.text(line, (self.width - width_of(line, size)) // 2, y, size)
            y += size * LETTER_PX
        for right in (False, True):
            for low in (False, True):
                x, y = (self.width - 8) * right, (self.height - 8) * low
                self.box(x, y + 6 * low, 8, 2)
                self.box(x + 6 * right, y, 2, 8)

    def share(self, percent, notes):
        """Draw a percentage in the largest digits, small lines beside it, and a bar."""
        digits = str(percent)
        size, y = (3, 24) if self.tall else (2, 4)
        self.text(digits, _MARGIN, y, size)
        self.text("%", _MARGIN + width_of(digits, size) + size, y + (size - 2) * 7, 2)
        y, pitch = (19, 11) if self.tall else (0, 8)
        for note in notes:
            self.text_right(note, self.width - _MARGIN, y)
            y += pitch
        self.bar(percent)

    def bar(self, percent):
        """Draw how far something has come, along the bottom."""
        high = 9 if self.tall else 6
        wide = self.width - 2 * _MARGIN
        y = self.height - high
        self.box(_MARGIN + 1, y, wide - 2, high, False)
        self.box(_MARGIN, y + 1, wide, high - 2, False)
        if self._frame is not None:
            self._frame.rect(_MARGIN + 1, y + 1, wide - 2, high - 2, 0, True)
        self.box(_MARGIN + 2, y + 2, (wide - 4) * percent // 100, high - 4)

    def steps(self, done, of):
        """Draw which step comes next, along the bottom."""
        wide = (self.width - 2 * _MARGIN + 4) // of
        x = (self.width - of * wide + 4) // 2
        for step in range(of):
            self.box(x + step * wide, self.height - 4, wide - 4, 4, step < done)

    def action(self, words, note=""):
        """Tell the owner what to do, in a bar along the bottom; `note` where there is room for it."""
        self.say(words)
        self.say(note)
        high = 12 if self.tall else 10
        y = self.height - high
        self.box(0, y, self.width, high)
        y += high // 2 - 4
        room = self.width - 8
        if note and width_of(words) + 6 + width_of(note) <= room:
            self.text_right(note, self.width - 4, y, True)
        self.text(shortened(words, room), 4, y, 1, True)
