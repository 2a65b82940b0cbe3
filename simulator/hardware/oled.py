"""An SSD1306 on its I2C bus: what reaches its memory is shown to the program, and the bus takes its time.

Data sheet: Solomon Systech SSD1306, rev. 1.1: command table 9, addressing modes 10.1.3.
"""

import time

import bench

_WIDTH, _PAGES = 128, 8
_WITH_ARGUMENTS = {0x20: 1, 0x21: 2, 0x22: 2, 0x81: 1, 0x8D: 1, 0xA8: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1}
_COLUMNS, _PAGES_OF, _CONTRAST = 0x21, 0x22, 0x81
_NORMAL, _INVERSE, _OFF, _ON = 0xA6, 0xA7, 0xAE, 0xAF


class Bus:
    """The bus with the panel on it. `contrast` and `is_on` tell how the panel is; `busy_us` how long the bus was."""

    def __init__(self, sda=None, scl=None, freq=400_000):
        self._freq = freq
        self.memory = bytearray(_WIDTH * _PAGES)
        self.busy_us = 0
        self.is_on = self.is_inverse = False
        self.contrast = 0x7F
        self._command, self._arguments = 0, []
        self._columns, self._pages = (0, _WIDTH - 1), (0, _PAGES - 1)
        self._column = self._page = 0
        self._told = None

    def _take_time(self, octets):
        spent_us = (octets + 1) * 9_000_000 // self._freq  # the address, and an acknowledgement for each octet
        self.busy_us += spent_us
        time.sleep_us(spent_us)

    def writeto(self, address, data):
        """Take one octet of a command (control byte 0x80)."""
        self._take_time(len(data))
        octet = data[1]
        if len(self._arguments) < _WITH_ARGUMENTS.get(self._command, 0):
            self._arguments.append(octet)
        else:
            self._command, self._arguments = octet, []
        if len(self._arguments) == _WITH_ARGUMENTS.get(self._command, 0):
            self._obey()

    def _obey(self):
        command, arguments = self._command, self._arguments
        self._command, self._arguments = 0, []
        if command == _COLUMNS:
            self._columns = tuple(arguments)
            self._column = arguments[0]
        elif command == _PAGES_OF:
            self._pages = tuple(arguments)
            self._page = arguments[0]
        elif command == _CONTRAST:
            self.contrast = arguments[0]
        elif command in (_NORMAL, _INVERSE):
            self.is_inverse = command == _INVERSE
            self._tell()
        elif command in (_OFF, _ON):
            self.is_on = command == _ON
            self._tell()

    def writevto(self, address, parts):
        """Take pixels (control byte 0x40), into the window that was set."""
        self._take_time(len(parts[1]) + 1)
        for octet in parts[1]:
            self.memory[self._page * _WIDTH + self._column] = octet
            self._column += 1
            if self._column > self._columns[1]:
                self._column = self._columns[0]
                self._page = self._pages[0] if self._page == self._pages[1] else self._page + 1
        self._tell()

    def seen(self):
        """Return what can be seen, as 1,024 bytes."""
        if not self.is_on:
            return bytes(len(self.memory))
        if self.is_inverse:
            return bytes(octet ^ 0xFF for octet in self.memory)
        return bytes(self.memory)

    def _tell(self):
        seen = self.seen()
        if seen != self._told:
            self._told = seen
            bench.tell("oled", seen)
