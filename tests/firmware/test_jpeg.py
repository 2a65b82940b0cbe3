"""A black frame is told from a dark picture without decoding it, at each quality that a sensor has."""

import io
import json
import random
from datetime import UTC, datetime

import pytest
from PIL import Image

from simulator.scene import black, draw

QUALITIES = (5, 20, 50, 70, 85, 93)


def encoded(image: Image.Image, quality: int, subsampling: int = 1) -> bytes:
    """As sensors do: 4:2:2, the usual Huffman tables."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def room(side: int = 240, light: float = 1.0) -> Image.Image:
    """A picture with edges and texture in each part, as bright as `light`; its corner is in the shade."""
    seeded = random.Random(7)
    image = Image.frombytes("L", (side, side), seeded.randbytes(side * side)).point(lambda value: 100 + value // 8)
    image = image.convert("RGB")
    for _ in range(60):
        x, y = seeded.randrange(side), seeded.randrange(side)
        shade = tuple(seeded.randrange(40, 256) for _ in range(3))
        image.paste(shade, (x, y, x + seeded.randrange(5, 60), y + seeded.randrange(5, 60)))
    image.paste((20, 20, 20), (0, 0, 24, 24))
    return image.point(lambda value: int(value * light))


def noisy(mean: float, deviation: float) -> Image.Image:
    """What a sensor gives that sees nothing."""
    seeded = random.Random(3)
    grey = bytes(max(0, min(255, round(seeded.gauss(mean, deviation)))) for _ in range(160 * 120))
    return Image.frombytes("L", (160, 120), grey).convert("RGB")


@pytest.fixture
def judged(run_case, tmp_path):
    """Have the firmware look at JPEGs, by name."""

    def judge(frames: dict[str, bytes]) -> dict[str, dict]:
        folder = tmp_path / "frames"
        folder.mkdir()
        for name, data in frames.items():
            (folder / name).write_bytes(data)
        lines = run_case("cases_jpeg", "judge", folder).splitlines()
        return {told["name"]: told for told in map(json.loads, lines[:-1])}

    return judge


def test_frames_of_a_sensor_that_does_not_expose_are_black_at_each_quality(judged):
    """Flat black, television's black, and the little noise that a sensor has at its lowest gain."""
    frames = {
        f"{mean}-{deviation}-{quality}-{subsampling}": encoded(noisy(mean, deviation), quality, subsampling)
        for mean in (0, 16)
        for deviation in (0, 0.5)
        for quality in (50, 70, 85)
        for subsampling in (1, 2)
    }
    frames |= {f"simulated-{quality}": black((800, 600), quality) for quality in QUALITIES}
    told = judged(frames)
    assert len(told) == len(frames)
    assert [name for name, one in told.items() if not one["black"]] == []


def test_pictures_are_not_black_at_any_quality_nor_in_little_light(judged):
    """Three tenths of the light with a corner in the shade, a drawn scene, fog, a white wall, a dark one with noise."""
    fog = Image.linear_gradient("L").resize((320, 240)).point(lambda value: 90 + value // 8).convert("RGB")
    frames = {}
    for quality in QUALITIES:
        for light in (1.0, 0.3):
            frames[f"room-{light}-{quality}"] = encoded(room(light=light), quality)
        frames[f"drawn-{quality}"] = draw("cam", 3, datetime.now(UTC), (800, 600), quality)
        frames[f"fog-{quality}"] = encoded(fog, quality)
        frames[f"white-{quality}"] = encoded(Image.new("RGB", (320, 240), (250, 250, 250)), quality)
        frames[f"grey-{quality}"] = encoded(Image.new("L", (320, 240), 60), quality)
    for quality in (70, 85, 93):
        frames[f"night-{quality}"] = encoded(noisy(16, 4), quality)
    told = judged(frames)
    assert [name for name, one in told.items() if one["black"]] == []
    assert {name: one["size"] for name, one in told.items() if name.startswith("drawn")} == {
        f"drawn-{quality}": [800, 600] for quality in QUALITIES
    }


def test_a_mark_is_the_scan_s_alone(judged):
    """The same picture with another header is the same; another picture is not; neither is a cut one."""
    whole = encoded(room(), 85)
    with_comment = whole[:2] + b"\xff\xfe\x00\x06abcd" + whole[2:]
    told = judged({"a": whole, "b": with_comment, "c": encoded(room(light=0.9), 85), "d": whole[:-100]})
    assert told["a"]["mark"] == told["b"]["mark"]
    assert told["b"]["scan"] == told["a"]["scan"] + 8
    assert told["c"]["mark"] != told["a"]["mark"] != told["d"]["mark"]
    assert [told[name]["whole"] for name in "abcd"] == [True, True, True, False]


def test_what_is_no_jpeg_is_judged_without_an_error(judged):
    """A driver's buffer may hold anything."""
    whole = encoded(room(), 85)
    chance = random.Random(1)
    frames = {f"cut-{at:04d}": whole[:at] + b"\xff\xd9" for at in range(2, 700, 7)}
    frames |= {f"noise-{n}": b"\xff\xd8\xff" + chance.randbytes(chance.randrange(600)) for n in range(60)}
    for n in range(120):
        broken = bytearray(whole)
        broken[chance.randrange(2, 640)] = chance.randrange(256)
        frames[f"bit-{n}"] = bytes(broken)
    told = judged(frames)
    assert len(told) == len(frames)
