"""MicroPython's `esp32` for a virtual camera: what wakes it is the program's business."""

WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = False, True


def wake_on_ext0(pin, level):
    """A press wakes a virtual camera always."""


def wake_on_touch(wake):
    """A press wakes a virtual camera always."""


def raw_temperature():
    """Return degrees Fahrenheit, as the first ESP32."""
    return 106
