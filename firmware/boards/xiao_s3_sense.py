"""Seeed's XIAO ESP32S3 Sense with its expansion board: OV2640 or OV3660, micro SD over SPI, a battery connector.

A button from D1 (GPIO2) to ground is the shutter, an OLED goes to D4 (GPIO5, SDA) and D5 (GPIO6, SCL). The board can
charge a battery but not measure it: a divider of two equal resistors from BAT+ to D0 (GPIO1, ADC1) makes up for that.
The yellow LED shares GPIO21 with the card's CS, and is left to it. No strapping pin is in use.
"""

PROFILE = {
    "name": "xiao-s3-sense",
    "chip": "esp32s3",
    "image": "XIAO_ESP32S3",
    "shutter": {"kind": "button", "pin": 2, "active": 0, "wake": "ext0"},
    "camera": {
        "pins": {
            "data_pins": [15, 17, 18, 16, 14, 12, 11, 48],
            "vsync_pin": 38,
            "href_pin": 47,
            "sda_pin": 40,
            "scl_pin": 39,
            "pclk_pin": 13,
            "xclk_pin": 10,
            "xclk_freq": 20_000_000,
            "powerdown_pin": -1,
            "reset_pin": -1,
        },
    },
    "sd": {"slot": 2, "sck": 7, "miso": 8, "mosi": 9, "cs": 21},
    "oled": {"sda": 5, "scl": 6, "width": 128, "height": 64, "address": 0x3C},
    "battery": {"pin": 1, "permille": 2000, "fitted": False, "before_wifi": False},
    "usb": None,
    "led": None,
    "flash": None,
    "draw_ma": {"camera": 150, "send": 240},
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "UXGA", "idle_timeout_ms": 300_000},
}
