"""Freenove's ESP32-S3-WROOM CAM: OV2640 or OV3660, micro SD (1-bit); its BOOT button is the shutter.

Strapping pin in use: GPIO0 (the BOOT button; held during a reset it makes the chip wait to be flashed). An OLED may be
on GPIO41 and GPIO42, a divider for a battery on GPIO1 (ADC1: it can be read at any time).
"""

PROFILE = {
    "name": "freenove-s3",
    "chip": "esp32s3",
    "image": "FREENOVE_ESP32S3_CAM",
    "shutter": {"kind": "button", "pin": 0, "active": 0, "wake": "ext0"},
    "camera": {
        "pins": {
            "data_pins": [11, 9, 8, 10, 12, 18, 17, 16],
            "vsync_pin": 6,
            "href_pin": 7,
            "sda_pin": 4,
            "scl_pin": 5,
            "pclk_pin": 13,
            "xclk_pin": 15,
            "xclk_freq": 20_000_000,
            "powerdown_pin": -1,
            "reset_pin": -1,
        },
    },
    "sd": {"slot": 1, "width": 1, "sck": 39, "cmd": 38, "data": [40]},
    "oled": {"sda": 41, "scl": 42, "width": 128, "height": 64, "address": 0x3C},
    "battery": {"pin": 1, "permille": 2000, "fitted": False, "before_wifi": False},
    "usb": None,
    "led": {"pin": 2, "active": 1},
    "flash": None,
    "draw_ma": {"camera": 160, "send": 250},
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "UXGA", "idle_timeout_ms": 300_000},
}
