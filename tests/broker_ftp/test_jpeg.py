"""The JPEG walker: whole photos pass, cut ones never do, and nothing makes it raise anything but its own errors."""

import contextlib
import mmap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ftp.errors import JpegCutError, JpegError
from broker.ftp.jpeg import inspect


@pytest.fixture(scope="session")
def samples(draw_photo, add_thumbnail):
    small = draw_photo(64, 48)
    return {
        "baseline": small,
        "progressive": draw_photo(64, 48, progressive=True),
        "optimised": draw_photo(64, 48, optimize=True),
        "restart markers": draw_photo(64, 48, restart_marker_blocks=2),
        "thumbnail": add_thumbnail(small, draw_photo(32, 24)),
        "grey": grey(64, 48),
    }


def grey(width, height):
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((width, height), 50).save(out, "JPEG")
    return out.getvalue()


def test_whole_photos(samples):
    for name, data in samples.items():
        jpeg = inspect(data)
        assert (jpeg.width, jpeg.height, jpeg.length) == (64, 48, len(data)), name


def test_restart_markers_and_scans_are_really_there(samples):
    """The samples have in them what they are named after."""
    assert b"\xff\xd0" in samples["restart markers"]
    assert samples["progressive"].count(b"\xff\xda") > 1
    assert samples["thumbnail"].count(b"\xff\xd9") >= 2


def test_no_cut_is_accepted(samples):
    """Cut at any byte, a photo is known to be cut."""
    for name, data in samples.items():
        for end in range(len(data)):
            with pytest.raises(JpegCutError):
                inspect(data[:end])
            assert name


def test_trailing_bytes_are_not_counted(samples):
    data = samples["baseline"]
    assert inspect(data + bytes(10)).length == len(data)
    assert inspect(data + data).length == len(data)


def test_fill_bytes(samples):
    """Any number of FF may come before a marker, before the end marker too."""
    data = samples["baseline"]
    filled = data[:2] + b"\xff\xff" + data[2:-2] + b"\xff\xff\xff" + data[-2:]
    assert inspect(filled).width == 64


def test_works_on_a_mapped_file(samples, tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(samples["thumbnail"])
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert inspect(data).width == 64


@pytest.mark.parametrize(
    "data",
    [
        b"not a photo",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xd8\xff\xd9",
        b"\xff\xd8\0\0\0\0",
        b"\xff\xd8\xff\xe0\0\1",
        b"\xff\xd8\xff\xe0\0\2\xff\xd9",
        b"\xff\xd8\xff\xc0\0\4\0\0",
        b"\xff\xd8\xff\xda\0\2\0\0\xff\xd9",
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\0\x01\x01\x11\0\xff\xda\0\2\0\xff\xd9",
    ],
)
def test_what_is_no_jpeg(data):
    with pytest.raises(JpegError) as caught:
        inspect(data)
    assert not isinstance(caught.value, JpegCutError)


@given(st.binary(max_size=200))
def test_any_bytes(data):
    """Nothing but its own error, whatever comes."""
    for candidate in (data, b"\xff\xd8" + data, b"\xff\xd8\xff" + data):
        with contextlib.suppress(JpegError):
            inspect(candidate)


@settings(max_examples=300)
@given(st.data())
def test_damaged_photos(samples, data):
    """A photo with bytes changed passes or is refused, and never ends behind its own last byte."""
    whole = bytearray(samples[data.draw(st.sampled_from(sorted(samples)))])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(JpegError):
        assert inspect(bytes(whole)).length <= len(whole)


@pytest.mark.parametrize(
    "unit",
    [b"\xff\xe0\0\2", b"\xff\xda\0\2", b"\xff\1", b"\xff"],
    ids=["segments", "scans", "bare markers", "fill bytes"],
)
def test_nothing_takes_long(unit):
    """Ten megabytes made to be walked slowly are refused before anybody has to wait for it."""
    frame = b"\xff\xd8\xff\xc0\0\x08\x08\0\1\0\1\1"
    data = frame + unit * ((10 << 20) // len(unit))
    began = time.process_time()
    with pytest.raises(JpegError):
        inspect(data)
    assert time.process_time() - began < 0.3


def test_it_is_fast(draw_photo):
    """100 KB take well under a millisecond."""
    data = draw_photo(800, 600, quality=75)
    assert len(data) > 80_000
    best = min(timed(data) for _ in range(20))
    assert best * 100_000 / len(data) < 0.001


def timed(data):
    began = time.perf_counter()
    inspect(data)
    return time.perf_counter() - began
