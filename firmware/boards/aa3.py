"""The reference board: ESP32 Wrover-E, OV2640, touch shutter on GPIO12, OLED, micro SD (1-bit).

Strapping pins in use: GPIO12 (the touch pad has no pull-up that could tell the chip a wrong flash voltage at reset),
GPIO2 and GPIO15 (the card's pull-ups are what a reset wants; to flash, take the card out if it does not start), GPIO5
(the camera drives it only once it has a clock).
Every ADC1 pin is the camera's or the OLED's. A divider for the battery may be put on GPIO13: that is ADC2, which the
radio takes, so it is read before Wi-Fi starts. None is fitted until `battery_permille` says so.
"""

PROFILE = {
    "name": "aa3",
    "chip": "esp32",
    "image": "WROVER_KIT",
    "shutter": {"kind": "touch", "pin": 12, "percent": 70, "wake": "touch"},
    "camera": {
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
    "battery": {"pin": 13, "permille": 2000, "fitted": False, "before_wifi": True},
    "usb": None,
    "led": None,
    "flash": None,
    "draw_ma": {"camera": 170, "send": 270},  # chip, PSRAM and OV2640 at work; and with the radio sending
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "UXGA", "idle_timeout_ms": 300_000},
}
