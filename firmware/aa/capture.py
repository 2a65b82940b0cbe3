"""The camera sensor, through cnadler86's `camera` module: one whole JPEG of now, never the frame before.

The driver fills two buffers in turn and offers the last complete one (`GrabMode.LATEST`), which may be as old as the
time for which nobody fetched any. A frame starts when the one before it is complete. So, of what is fetched after a
press, the first was exposed before it, the second may have been, and the third was not; where none lies ready at the
press, the second was not. That holds at any frame rate, whatever else the chip did meanwhile.

`capture()` blocks until there is a frame, up to 4 s, so it is called once `frame_available()` says so. The bytes die at
the next `capture()` or `free_buffer()`. `init()` after `deinit()` fails on some versions: nothing here needs it.
"""

import asyncio
import time

from aa import jpeg, log, sensors

_LOOK_EVERY_MS = 2
_MOST_TRIES = 12
_MOST_ODD = 3  # so often is a black frame, or one that was there before, tried again
_MOST_MS = 10_000
_FRAMES_LATE = 8  # a frame that takes so much longer than its sensor's slowest does not come
_SETTLED_PERCENT = 5
_SIZE_CHANGED_FRAMES = 3
_SETTINGS = (  # of ours, the driver's name, and what the sensor starts with
    ("quality", "quality", None),
    ("hmirror", "hmirror", False),
    ("vflip", "vflip", False),
    ("brightness", "brightness", 0),
    ("contrast", "contrast", 0),
    ("saturation", "saturation", 0),
    ("exposure", "ae_level", 0),
    ("white_balance", "wb_mode", 0),
    ("effect", "special_effect", 0),
)


class NoFrame(Exception):
    """The sensor gave no whole picture; the text says what it did."""


class Shot:
    """A frame, its size, and what is doubtful about it: "black", or "same" as the one before."""

    def __init__(self, frame, head, labels):
        self.frame = frame
        self.width, self.height = head.width, head.height
        self.labels = labels


class Sensor:
    """Opens the camera at the first photo, and again after a failure; `profile` holds its pins as keyword arguments."""

    def __init__(self, profile, settings):
        self._pins = profile["pins"]
        self._settings = settings
        self._camera = self._module = None
        self._size = self._room = None  # the frame size now, and the largest that the buffers are made for
        self._applied = {}
        self._able = None
        self._unsettled = 0
        self._last = None
        self.name = None
        self.lock = asyncio.Lock()  # held for as long as a frame is in use

    def open(self):
        """Start the sensor.

        Raises:
            NoFrame: it does not answer, or can't do what the settings say.
        """
        try:
            import camera  # here, so that a board without the module still boots and says what it lacks

            self._power(True)
            self._module = camera
            self._camera = camera.Camera(
                pixel_format=camera.PixelFormat.JPEG,
                frame_size=getattr(camera.FrameSize, self._settings["frame_size"]),
                jpeg_quality=self._settings["quality"],
                fb_count=2,
                grab_mode=camera.GrabMode.LATEST,
                **self._pins,
            )
            self._know(self._get("sensor_name"))
            self._size = self._room = self._settings["frame_size"]
            self._applied = {"quality": self._settings["quality"]}
            self._unsettled = self._able["settle_frames"]
            self.apply_settings()
        except Exception as cause:  # the driver raises what it likes
            self._camera = None
            raise NoFrame("camera does not start: " + log.words(cause))

    def _know(self, name):
        if name != self.name:
            self._able = sensors.abilities(name)
            self._settings.limit(name, sensors.limits(self._able))
            self.name = name
            log.info("sensor", name=name, largest=self._able["largest"])

    def _get(self, name):
        """Return one of the driver's values, by method where it has one: its newer versions want properties."""
        getter = getattr(self._camera, "get_" + name, None)
        return getattr(self._camera, name) if getter is None else getter()

    def _set(self, name, value):
        setter = getattr(self._camera, "set_" + name, None)
        if setter is None:
            setattr(self._camera, name, value)
        else:
            setter(value)

    def apply_settings(self):
        """Give the sensor what the settings now say; hold `lock` meanwhile.

        Raises:
            NoFrame: it can't do that.
        """
        if self._camera is None:
            return
        try:
            self._apply_size(self._settings["frame_size"])
            for key, name, neutral in _SETTINGS:
                value = self._value(key)
                if self._applied.get(key, neutral) != value:
                    self._set(name, value)
                    self._applied[key] = value
        except Exception as cause:
            self._camera = None  # nobody knows how far it came: the next photo opens it anew
            raise NoFrame("sensor takes no setting: " + log.words(cause))

    def _value(self, key):
        """Return a setting as the driver wants it."""
        value = self._settings[key]
        if key == "vflip":
            return value != self._able["upside_down"]
        if key == "white_balance":
            return sensors.WHITE_BALANCES.index(value)
        return sensors.EFFECTS.index(value) if key == "effect" else value

    def _apply_size(self, size):
        """Change the frame size: in the buffers that there are, else with new ones, as large as it needs."""
        if size == self._size:
            return
        value = getattr(self._module.FrameSize, size)
        if sensors.FRAME_SIZES.index(size) <= sensors.FRAME_SIZES.index(self._room):
            self._set("frame_size", value)
            self._unsettled = max(self._unsettled, _SIZE_CHANGED_FRAMES)
        else:
            self._camera.reconfigure(frame_size=value)
            self._room = size
            self._applied = {}  # the driver has reset the sensor
            self._unsettled = self._able["settle_frames"]
        self._size = size

    def close(self):
        """Stop the sensor, before sleep: it draws 20 mA, even while the chip sleeps, where it can't be powered down."""
        if self._camera is not None:
            self._camera.deinit()
            self._camera = None
        self._power(False)

    def _power(self, on):
        """Switch the sensor's own power-down pin, which is to stay as it is while the chip sleeps."""
        pin = self._pins.get("powerdown_pin", -1)
        if pin >= 0:
            import machine

            machine.Pin(pin, machine.Pin.OUT, value=not on, hold=not on)  # type: ignore[call-arg] # ESP32's own

    def release(self):
        """The frame is used up: the driver may have its buffer back."""
        if self._camera is not None:
            self._camera.free_buffer()

    async def shoot(self):
        """Return a `Shot`; its frame is the driver's own buffer: hold `lock` until it is used up.

        A black frame, and one that is the same as the last photo, is tried again a few times, then kept with a label.

        Raises:
            NoFrame: there is no whole one within some tries and seconds.
        """
        if self._camera is None:
            self.open()
        until = time.ticks_add(time.ticks_ms(), _MOST_MS)
        await self._pass_old_frames(until)
        odd = 0
        for left in range(_MOST_TRIES - 1, -1, -1):
            frame = await self._next(until)
            if not jpeg.is_whole(frame):
                continue
            head = jpeg.Head(frame)
            if not head.width or not head.height:
                continue
            mark = head.fingerprint(frame)
            labels = [label for label, so in (("black", head.is_black(frame)), ("same", mark == self._last)) if so]
            odd += bool(labels)
            if not labels or odd > _MOST_ODD or left == 0 or time.ticks_diff(until, time.ticks_ms()) <= 0:
                self._last = mark
                return Shot(frame, head, labels)
        raise NoFrame("no whole picture in {} tries".format(_MOST_TRIES))

    async def settle(self):
        """Let exposure and colour come right after a start, so that the first press need not wait for that."""
        if self._camera is not None and self._unsettled:
            await self._pass_old_frames(time.ticks_add(time.ticks_ms(), _MOST_MS))
            self.release()

    def unsettle(self):
        """The sensor stood still, as in light sleep, and the light may be another."""
        if self._camera is not None:
            self._unsettled = self._able["settle_frames"]

    async def _pass_old_frames(self, until):
        """Fetch frames until the next one starts after this call, and exposure has come right.

        Exposure is right once two frames in a row differ little in size, and the last is not black.
        """
        old = 2 if self._camera.frame_available() else 1
        before = 0
        while old > 0 or self._unsettled > 0:
            frame = await self._next(until)
            old -= 1
            self._unsettled -= 1
            if self._unsettled > 0 and self._is_settled(frame, before):
                self._unsettled = 0
            before = len(frame)
        self._unsettled = 0

    def _is_settled(self, frame, before):
        change = abs(len(frame) - before) * 100
        return before and change < before * _SETTLED_PERCENT and not jpeg.Head(frame).is_black(frame)

    async def _next(self, until):
        """Return the next frame.

        Raises:
            NoFrame: it does not come.
        """
        late = time.ticks_add(time.ticks_ms(), self._able["frame_ms"] * _FRAMES_LATE)
        try:
            self._camera.free_buffer()
            while time.ticks_diff(late, time.ticks_ms()) > 0 and time.ticks_diff(until, time.ticks_ms()) > 0:
                frame = self._camera.capture() if self._camera.frame_available() else None
                if frame is not None:
                    return frame
                await asyncio.sleep_ms(_LOOK_EVERY_MS)
        except OSError as cause:
            log.error("camera driver fails", cause)
        self._camera = None  # the next photo opens it anew
        raise NoFrame("no frame comes from the sensor")
