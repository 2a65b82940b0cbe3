"""The reference board: ESP32 Wrover-E, OV2640, touch shutter on GPIO12, OLED, micro SD (1-bit), no battery gauge."""

PROFILE = {
    "name": "aa3",
    "shutter": {"kind": "touch", "pin": 12, "percent": 70},
    "camera": {
        "stale_frames": 1,
        "pins": {
            "data_pins": [4, 5, 18, 19, 36, 39, 34, 35],
            "vsync_pin": 25,
            "href_pin": 23,
            "sda_pin": 26,
            "scl_pin": 27,
            "pclk_pin": 22,
            "xclk_pin": 21,
            "xclk_freq": 20_000_000,
            "powerdown_pin": -1,
            "reset_pin": -1,
        },
    },
    "sd": {"slot": 1, "width": 1},  # an ESP32's slot 1 has fixed pins: CMD 15, CLK 14, D0 2
    "oled": {"sda": 32, "scl": 33, "width": 128, "height": 64, "address": 0x3C},
    "battery": None,
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "UXGA", "idle_timeout_ms": 1_200_000},
}
