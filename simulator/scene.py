"""What a virtual camera sees: a folder of photos, or a drawn scene with a clock, another one at each shot."""

import asyncio
import io
import itertools
import math
import random
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageDraw, ImageFont

from simulator.errors import FramesError


class Scene(Protocol):
    """Where frames come from."""

    async def frame(self, width: int, height: int, quality: int) -> bytes:
        """Return a JPEG of now."""
        ...


class FolderScene:
    """The JPEGs in a folder, byte for byte, by name, over and over."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
        if not paths:
            raise FramesError(f"{folder} holds no .jpg: put some there, or leave frames out for a drawn scene")
        self._paths = itertools.cycle(paths)

    async def frame(self, width: int, height: int, quality: int) -> bytes:  # noqa: ARG002 - they are as they are
        """Return the next one."""
        return await asyncio.to_thread(next(self._paths).read_bytes)


class DrawnScene:
    """A landscape whose sun goes round with the seconds, and a clock and a number that tell every shot apart."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shots = itertools.count(1)

    async def frame(self, width: int, height: int, quality: int) -> bytes:
        """Draw one."""
        return await asyncio.to_thread(
            draw, self._title, next(self._shots), datetime.now(UTC), (width, height), quality
        )


def draw(title: str, shot: int, now: datetime, size: tuple[int, int], quality: int) -> bytes:
    """Return the drawn scene as JPEG."""
    width, height = size
    sky = b"".join(bytes((90 + y * 85 // height, 130 + y * 85 // height, 200)) * width for y in range(height))
    image = Image.frombytes("RGB", size, sky)
    pen = ImageDraw.Draw(image)
    turn = 2 * math.pi * (now.second + now.microsecond / 1e6) / 60
    x, y, radius = width / 2 + width * 0.4 * math.sin(turn), height * 0.45 - height * 0.3 * math.cos(turn), height / 14
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 214, 90))
    for ridge, shade in enumerate(((62, 88, 96), (38, 62, 60), (22, 38, 34))):
        pen.polygon(_ridge(width, height, ridge), fill=shade)
    text = now.strftime("%Y-%m-%d %H:%M:%S.") + f"{now.microsecond // 1000:03d}"
    pen.text((width / 30, height * 0.78), f"{title}  #{shot}", "white", ImageFont.load_default(height / 14))
    pen.text((width / 30, height * 0.88), text, "white", ImageFont.load_default(height / 18))
    return _jpeg(image, quality)


def black(size: tuple[int, int], quality: int) -> bytes:
    """Return what a sensor gives that does not expose: black, but for a few pixels that tell one from the next."""
    image = Image.new("RGB", size, (3, 3, 3))
    for _ in range(3):
        image.putpixel((random.randrange(size[0]), random.randrange(size[1])), (60, 60, 60))  # noqa: S311 - a scene
    return _jpeg(image, quality)


def turned(frame: bytes, quality: int, how: Collection[str]) -> bytes:
    """Return a frame as a sensor gives it that is set to `hmirror`, `vflip` or both."""
    with Image.open(io.BytesIO(frame)) as opened:
        image: Image.Image = opened.convert("RGB")
    if "hmirror" in how:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "vflip" in how:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return _jpeg(image, quality)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=max(5, min(95, quality)))
    return out.getvalue()


def _ridge(width: int, height: int, ridge: int) -> list[tuple[float, float]]:
    base, wave = height * (0.55 + 0.12 * ridge), height * 0.07
    points = [
        (x, base + wave * math.sin(x / width * (7 + 3 * ridge) + ridge * 2) * math.cos(x / width * 5))
        for x in range(0, width + 8, 8)
    ]
    return [(0, height), *points, (width, height)]
