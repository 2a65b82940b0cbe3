"""The virtual camera: a button, an OLED, a card and a battery, all simulated on a PC."""

PROFILE = {
    "name": "sim",
    "shutter": {"kind": "button", "pin": 12, "active": 0},
    "camera": {"stale_frames": 0, "pins": {}},
    "sd": {"slot": 1, "width": 1},
    "oled": {"sda": 32, "scl": 33, "width": 128, "height": 64, "address": 0x3C},
    "battery": {"pin": 35, "permille": 2000, "empty_mv": 3300, "full_mv": 4200},
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "SVGA", "idle_timeout_ms": 0},
}
