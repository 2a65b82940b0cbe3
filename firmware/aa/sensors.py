"""What each sensor can do: one table, by the name that the driver gives it. No sensor here has an autofocus in use.

Sizes are the driver's `FrameSize` up to the largest; ranges are what its setters take. `settle_frames` is how many
frames a sensor takes at most from its start until exposure and colour are right, `frame_ms` how long its slowest one
takes, at the largest size and a clock of 20 MHz.
"""

from aa import log

FRAME_SIZES = (  # the driver's names, from small to large
    "QVGA",
    "CIF",
    "HVGA",
    "VGA",
    "SVGA",
    "XGA",
    "HD",
    "SXGA",
    "UXGA",
    "FHD",
    "QXGA",
    "QHD",
    "WQXGA",
    "QSXGA",
)
EFFECTS = ("none", "negative", "grayscale", "red", "green", "blue", "sepia")  # as the driver counts them
WHITE_BALANCES = ("auto", "sunny", "cloudy", "office", "home")
SENSORS = {
    "OV2640": {
        "largest": "UXGA",
        "quality": (5, 93),  # beyond, its own table overflows and frames arrive torn
        "brightness": (-2, 2),
        "contrast": (-2, 2),
        "saturation": (-2, 2),
        "exposure": (-2, 2),
        "settle_frames": 12,
        "frame_ms": 160,
        "upside_down": False,
    },
    "OV3660": {
        "largest": "QXGA",
        "quality": (5, 93),
        "brightness": (-3, 3),
        "contrast": (-3, 3),
        "saturation": (-4, 4),
        "exposure": (-5, 5),
        "settle_frames": 12,
        "frame_ms": 300,
        "upside_down": True,  # its modules show the world so; `vflip` False is to be upright
    },
    "OV5640": {
        "largest": "QSXGA",
        "quality": (5, 93),
        "brightness": (-3, 3),
        "contrast": (-3, 3),
        "saturation": (-4, 4),
        "exposure": (-5, 5),
        "settle_frames": 10,
        "frame_ms": 500,
        "upside_down": False,
    },
}  # type: dict[str, dict]
_RANGES = ("quality", "brightness", "contrast", "saturation", "exposure")


def abilities(name):
    """Return what the sensor of that name can do, as in `SENSORS`; of an unknown one what all of them can."""
    if name in SENSORS:
        return SENSORS[name]
    log.warning("unknown sensor: taken for the least able one", sensor=name)
    known = SENSORS.values()
    least = {
        "largest": FRAME_SIZES[min(FRAME_SIZES.index(one["largest"]) for one in known)],
        "settle_frames": max(one["settle_frames"] for one in known),
        "frame_ms": max(one["frame_ms"] for one in known),
        "upside_down": False,
    }
    for key in _RANGES:
        least[key] = (max(one[key][0] for one in known), min(one[key][1] for one in known))
    return least


def limits(able):
    """Return what settings may be, as `Settings.limit` wants it: key to (least, most), or to the choices."""
    found = {key: able[key] for key in _RANGES}
    found["frame_size"] = FRAME_SIZES[: FRAME_SIZES.index(able["largest"]) + 1]
    return found
