# cnadler86's `camera` module, as far as the firmware uses it: what is not here, the type check refuses.

class PixelFormat:
    JPEG: int

class GrabMode:
    LATEST: int

class FrameSize:
    QVGA: int
    CIF: int
    HVGA: int
    VGA: int
    SVGA: int
    XGA: int
    HD: int
    SXGA: int
    UXGA: int
    FHD: int
    QXGA: int
    QHD: int
    WQXGA: int
    QSXGA: int

class Camera:
    def __init__(
        self,
        *,
        pixel_format: int = ...,
        frame_size: int = ...,
        jpeg_quality: int = ...,
        fb_count: int = ...,
        grab_mode: int = ...,
        data_pins: list[int] = ...,
        vsync_pin: int = ...,
        href_pin: int = ...,
        sda_pin: int = ...,
        scl_pin: int = ...,
        pclk_pin: int = ...,
        xclk_pin: int = ...,
        xclk_freq: int = ...,
        powerdown_pin: int = ...,
        reset_pin: int = ...,
    ) -> None: ...
    def capture(self) -> memoryview | None: ...
    def frame_available(self) -> bool: ...
    def free_buffer(self) -> None: ...
    def reconfigure(
        self, *, frame_size: int = ..., pixel_format: int = ..., grab_mode: int = ..., fb_count: int = ...
    ) -> None: ...
    def deinit(self) -> None: ...
    def get_sensor_name(self) -> str: ...
    def get_max_frame_size(self) -> int: ...
    def set_quality(self, value: int) -> None: ...
