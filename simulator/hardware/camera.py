"""cnadler86's `camera` module for a virtual camera: each frame is a JPEG that the program hands over."""

from array import array

import bench


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


_LARGEST = FrameSize.UXGA


class Camera:
    """Gives a frame at each capture. Its bytes are signed, as the real ones, and die at the next capture."""

    def __init__(self, *, pixel_format, frame_size, jpeg_quality=85, fb_count=1, grab_mode=0, **pins):
        if pixel_format != PixelFormat.JPEG:
            raise RuntimeError("this sensor only simulates JPEG")
        self._size, self._quality = frame_size, jpeg_quality
        self._frame = None
        if frame_size > _LARGEST:
            raise RuntimeError("this sensor has no such size")

    def capture(self):
        """Return a frame as memoryview of signed bytes, or None."""
        self.free_buffer()
        answer = bench.ask("frame {}x{} {}".format(self._size[0], self._size[1], self._quality))
        if not answer:
            return None
        self._frame = array("b", answer)
        return memoryview(self._frame)

    def frame_available(self):
        """Whether a frame lies ready."""
        return True

    def free_buffer(self):
        """The frame is used no more: whoever kept it is to notice."""
        if self._frame is not None:
            for at in range(min(64, len(self._frame))):
                self._frame[at] = 0
            self._frame = None

    def set_quality(self, quality):
        """Change the quality from the next frame on."""
        self._quality = quality

    def get_sensor_name(self):
        """Return the sensor's name."""
        return "drawn"

    def deinit(self):
        """Stop."""
        self.free_buffer()
