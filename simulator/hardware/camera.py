"""cnadler86's `camera` module for a virtual camera: each frame is a JPEG that the program hands over."""

import bench


class PixelFormat:
    """As the real module names them."""

    RGB565, GRAYSCALE, JPEG = 0, 3, 4


class GrabMode:
    """As the real module names them."""

    WHEN_EMPTY, LATEST = 0, 1


class FrameSize:
    """As the real module names them; the value is what the program is asked for."""

    QVGA, CIF, HVGA, VGA, SVGA = "320x240", "400x296", "480x320", "640x480", "800x600"
    XGA, HD, SXGA, UXGA = "1024x768", "1280x720", "1280x1024", "1600x1200"
    FHD, QXGA, QHD, WQXGA, QSXGA = "1920x1080", "2048x1536", "2560x1440", "2560x1600", "2560x1920"


class Camera:
    """Gives a frame at each capture. Its bytes are signed, as the real ones, and die at the next capture."""

    def __init__(self, *, pixel_format, frame_size, jpeg_quality=85, fb_count=1, grab_mode=0, **pins):
        if pixel_format != PixelFormat.JPEG:
            raise RuntimeError("this sensor only simulates JPEG")
        self._size, self._quality = frame_size, jpeg_quality
        self._frame = None

    def capture(self):
        """Return a frame as memoryview of signed bytes, or None."""
        if self._frame is not None:
            for at in range(min(64, len(self._frame))):
                self._frame[at] = 0  # whoever kept the last frame is to notice
        answer = bench.ask("frame {} {}".format(self._size, self._quality))
        if not answer:
            return None
        from array import array

        self._frame = array("b", answer)
        return memoryview(self._frame)

    def frame_available(self):
        """Whether a frame lies ready."""
        return True

    def free_buffer(self):
        """The frame is used no more."""
        self._frame = None

    def set_frame_size(self, size):
        """Change the size from the next frame on."""
        self._size = size

    def set_quality(self, quality):
        """Change the quality from the next frame on."""
        self._quality = quality

    def get_sensor_name(self):
        """Return the sensor's name."""
        return "drawn"

    def deinit(self):
        """Stop."""
        self._frame = None
