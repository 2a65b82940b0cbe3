"""The camera sensor, through cnadler86's `camera` module: one whole JPEG of now, never the frame before."""

import asyncio

from aa import jpeg, log

_TRIES = 4
_PAUSE_MS = 30


class NoFrame(Exception):
    """The sensor gave no whole picture; the text says what it did."""


class Sensor:
    """Opens the camera at the first photo, and again after a failure; `profile` holds its pins as keyword arguments."""

    def __init__(self, profile, settings):
        self._pins = profile["pins"]
        self._stale = profile.get("stale_frames", 1)
        self._settings = settings
        self._camera = self._size = None
        self.name = None
        self.lock = asyncio.Lock()  # held for as long as a frame is in use

    def open(self):
        """Start the sensor.

        Raises:
            NoFrame: it does not answer, or can't do what the settings say.
        """
        try:
            import camera  # here, so that a board without the module still boots and says what it lacks

            self._size = self._settings["frame_size"]
            self._camera = camera.Camera(
                pixel_format=camera.PixelFormat.JPEG,
                frame_size=getattr(camera.FrameSize, self._size),
                jpeg_quality=self._settings["quality"],
                fb_count=2,
                grab_mode=camera.GrabMode.LATEST,
                **self._pins,
            )
            self.name = self._camera.get_sensor_name()
        except Exception as cause:  # the driver raises what it likes
            self._camera = None
            raise NoFrame("camera does not start: " + log.words(cause))

    def apply_settings(self):
        """Give the sensor the size and quality that the settings now say; hold `lock` meanwhile.

        Raises:
            NoFrame: it can't do that.
        """
        if self._camera is None:
            return
        if self._size == self._settings["frame_size"]:
            self._camera.set_quality(self._settings["quality"])
            return
        self.close()  # its buffers were made for the size that it started with
        self.open()

    def close(self):
        """Stop the sensor: it draws 20 mA, even while the chip sleeps."""
        if self._camera is not None:
            self._camera.deinit()
            self._camera = None

    def release(self):
        """The frame is used up: the driver may have its buffer back."""
        if self._camera is not None:
            self._camera.free_buffer()

    async def shoot(self):
        """Return (frame, width, height); the frame is the driver's own buffer: hold `lock` until it is used up.

        Raises:
            NoFrame: after a few tries.
        """
        if self._camera is None:
            self.open()
        for _ in range(self._stale):  # what lies ready was exposed before the press
            self._camera.capture()
        for _ in range(_TRIES):
            frame = self._camera.capture()
            size = jpeg.dimensions(frame) if frame is not None and jpeg.is_whole(frame) else None
            if size:
                return frame, size[0], size[1]
            await asyncio.sleep_ms(_PAUSE_MS)
        raise NoFrame("no whole picture in {} tries".format(_TRIES))
