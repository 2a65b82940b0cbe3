"""cnadler86's `camera` module for a virtual camera: each frame is a JPEG that the program hands over.

What can be said to it: "sensor OV2640|OV3660|OV5640|none" (from the next start of the sensor on), "frames
truncated|black|same|none N" (the next N that are fetched; two are thrown away at each shot), and "exposure MS": each
frame takes that long, as in the real driver, which fills two buffers in turn and offers the last complete one. Without
it frames are there at once, and to save the program's time three in a row show the same.
"""

import asyncio
from array import array

import bench

_SHOWS = 3
_NOTHING_YET = b"\xff\xd8" + bytes(252) + b"\xff\xd9"


class PixelFormat:
    """As the real module names them."""

    RGB565, GRAYSCALE, JPEG = 0, 3, 4


class GrabMode:
    """As the real module names them."""

    WHEN_EMPTY, LATEST = 0, 1


class FrameSize:
    """As the real module names them; the value is what the program is asked for."""

    QVGA, CIF, HVGA, VGA, SVGA = (320, 240), (400, 296), (480, 320), (640, 480), (800, 600)
    XGA, HD, SXGA, UXGA = (1024, 768), (1280, 720), (1280, 1024), (1600, 1200)
    FHD, QXGA, QHD, WQXGA, QSXGA = (1920, 1080), (2048, 1536), (2560, 1440), (2560, 1600), (2560, 1920)


_LARGEST = {"OV2640": FrameSize.UXGA, "OV3660": FrameSize.QXGA, "OV5640": FrameSize.QSXGA}
_UPSIDE_DOWN = ("OV3660",)
_NARROW = {"brightness": 2, "contrast": 2, "saturation": 2, "ae_level": 2}
_WIDE = {"brightness": 3, "contrast": 3, "saturation": 4, "ae_level": 5}


class _World:
    sensor = "OV2640"
    exposure_ms = 0
    faults = []


async def _set_sensor(name):
    _World.sensor = name


async def _set_exposure(exposure_ms):
    _World.exposure_ms = int(exposure_ms)


async def _spoil(kind, count):
    _World.faults = [kind] * int(count)


bench.on("sensor", _set_sensor)
bench.on("exposure", _set_exposure)
bench.on("frames", _spoil)


class Camera:
    """Gives a frame at each capture. Its bytes are signed, as the real ones, and die at the next capture."""

    def __init__(self, *, pixel_format, frame_size, jpeg_quality=85, fb_count=1, grab_mode=0, **pins):
        if pixel_format != PixelFormat.JPEG:
            raise RuntimeError("this sensor only simulates JPEG")
        if _World.sensor not in _LARGEST:
            raise OSError(19, "Camera not detected")  # ENODEV
        self._name = _World.sensor
        self._quality = jpeg_quality
        self._set = {}
        self._held = self._ready = None
        self._shown, self._shows = _NOTHING_YET, _SHOWS
        self._take_size(frame_size)
        self._exposing = asyncio.create_task(self._expose()) if _World.exposure_ms else None

    def _take_size(self, size):
        self._size = min(size, _LARGEST[self._name])  # the real one says so on its console, and goes on

    def _look(self):
        """Return what the sensor sees now."""
        if not self._shows:
            self._shown = self._ask("")
            self._shows = _SHOWS
        self._shows -= 1
        return self._shown

    def _ask(self, word):
        mirrored = " hmirror" if self._set.get("hmirror") else ""
        flipped = " vflip" if self._set.get("vflip", False) != (self._name in _UPSIDE_DOWN) else ""
        return bench.ask("frame {}x{} {}".format(*self._size, self._quality) + mirrored + flipped + word)

    async def _expose(self):
        """Fill two buffers in turn, as long as one is free; the last complete frame is the one that lies ready."""
        while True:
            if self._held is not None and self._ready is not None:
                await asyncio.sleep_ms(1)
                continue
            seen = self._ask("")  # at its start
            await asyncio.sleep_ms(_World.exposure_ms)
            self._ready = seen

    def frame_available(self):
        """Whether a frame lies ready."""
        return self._exposing is None or self._ready is not None

    def capture(self):
        """Return a frame as memoryview of signed bytes, or None."""
        self.free_buffer()
        frame, self._ready = self._ready, None
        fault = _World.faults.pop(0) if _World.faults else None
        if fault in ("black", "truncated"):
            frame = self._ask(" " + fault)
        elif fault == "none":
            frame = None
        elif fault == "same" and self._last:
            frame = self._last
        elif self._exposing is None:
            frame = self._look()
        if not frame:
            return None
        self._last = frame
        self._held = array("b", frame)
        return memoryview(self._held)

    _last = None

    def free_buffer(self):
        """The frame is used no more: whoever kept it is to notice."""
        if self._held is not None:
            for at in range(min(64, len(self._held))):
                self._held[at] = 0
            self._held = None

    def reconfigure(self, *, frame_size):
        """Start the sensor anew with buffers of another size."""
        self.free_buffer()
        self._set = {}
        self._take_size(frame_size)

    def set_frame_size(self, size):
        """Change the size within the buffers that there are."""
        self.free_buffer()
        self._take_size(size)

    def set_quality(self, quality):
        """Change the quality from the next frame on."""
        self._quality = quality

    def get_sensor_name(self):
        """Return the sensor's name."""
        return self._name

    def deinit(self):
        """Stop."""
        self.free_buffer()
        if self._exposing is not None:
            self._exposing.cancel()

    def _take(self, key, value):
        most = (_NARROW if self._name == "OV2640" else _WIDE).get(key)
        if most is not None and not -most <= value <= most:
            raise ValueError("Invalid setting for " + key)
        self._set[key] = value


def _setter(key):
    return lambda self, value: self._take(key, value)


for _key in ("hmirror", "vflip", "brightness", "contrast", "saturation", "ae_level", "wb_mode", "special_effect"):
    setattr(Camera, "set_" + _key, _setter(_key))
