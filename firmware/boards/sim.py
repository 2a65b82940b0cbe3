"""The virtual camera: a button, an OLED, a card and a battery, all simulated on a PC.

Its pins are an ESP32's, for the same checks: GPIO12 (button), GPIO2 and GPIO15 (card) are strapping pins there.
"""

PROFILE = {
    "name": "sim",
    "chip": "esp32",
    "image": None,
    "shutter": {"kind": "button", "pin": 12, "active": 0, "wake": "ext0"},
    "camera": {"pins": {}},
    "sd": {"slot": 1, "width": 1},
    "oled": {"sda": 32, "scl": 33, "width": 128, "height": 64, "address": 0x3C},
    "battery": {"pin": 35, "permille": 2000, "fitted": True, "before_wifi": False},
    "usb": {"pin": 34, "active": 1},
    "led": {"pin": 4, "active": 1},
    "flash": None,
    "draw_ma": {"camera": 170, "send": 270},
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "SVGA", "idle_timeout_ms": 0, "battery_mah": 1000, "display_off_ms": 0},
}
