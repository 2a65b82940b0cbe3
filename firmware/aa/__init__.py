"""The camera's firmware. `app` puts the parts together; start reading there.

It runs on MicroPython 1.26 or newer: on an ESP32 with cnadler86's camera API, and on MicroPython's unix port with
simulated hardware. Instants and durations are integers in milliseconds, never floats: an ESP32's float has 32 bits,
which today resolves two minutes.
"""

VERSION = "0.1.0"
