"""The ESP32-CAM of AI-Thinker: OV2640, micro SD (1-bit), a flash LED; a button from GPIO13 to ground is the shutter.

Strapping pins in use: GPIO0 (the camera's clock; tied to ground it makes the chip wait to be flashed), GPIO2 and GPIO15
(the card's pull-ups are what a reset wants), GPIO5 (the camera drives it only once it has a clock). GPIO12 is left
alone: a pull-up there, as an OLED or a divider has, tells the chip a wrong flash voltage at reset. So there is no OLED,
and no pin for a battery: each other that can measure is the camera's.
"""

PROFILE = {
    "name": "ai-thinker",
    "chip": "esp32",
    "image": "AI_THINKER",
    "shutter": {"kind": "button", "pin": 13, "active": 0, "wake": "ext0"},
    "camera": {
        "pins": {
            "data_pins": [5, 18, 19, 21, 36, 39, 34, 35],
            "vsync_pin": 25,
            "href_pin": 23,
            "sda_pin": 26,
            "scl_pin": 27,
            "pclk_pin": 22,
            "xclk_pin": 0,
            "xclk_freq": 20_000_000,
            "powerdown_pin": 32,
            "reset_pin": -1,
        },
    },
    "sd": {"slot": 1, "width": 1},  # an ESP32's slot 1 has fixed pins: CMD 15, CLK 14, D0 2
    "oled": None,
    "battery": None,
    "usb": None,
    "led": {"pin": 33, "active": 0},  # the small red one on the back
    "flash": {"pin": 4, "active": 1},
    "draw_ma": {"camera": 180, "send": 280},
    "watchdog_ms": 60_000,
    "settings": {"frame_size": "UXGA", "idle_timeout_ms": 300_000},
}
