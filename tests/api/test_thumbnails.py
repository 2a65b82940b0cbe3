import asyncio
import hashlib
import os
from io import BytesIO

import pytest
from PIL import Image

from aperture.store.errors import NotFoundError
from api.problems import ProblemError
from api.thumbnails import MAX_PIXELS, Thumbnails, shrink


def _size(data: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_comes_out_upright(orientation):
    """EXIF orientation is applied, to the pixels and to the size; and the result carries none."""
    upright = Image.new("RGB", (400, 300), "black")
    upright.paste("white", (0, 0, 200, 150))  # the light corner is at the top left when it is upright
    back = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}[orientation]  # fmt: skip
    stored = upright if back is None else upright.transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = BytesIO()
    stored.save(out, "JPEG", exif=exif)
    with Image.open(BytesIO(shrink(out.getvalue(), 160))) as small:
        assert small.size == (160, 120)
        assert small.getexif().get(0x0112) in {None, 1}
        light = [small.convert("L").getpixel(at) > 128 for at in ((40, 30), (120, 30), (40, 90), (120, 90))]
    assert light == [True, False, False, False]


def test_a_small_photo_is_not_blown_up(jpeg):
    assert _size(shrink(jpeg(100, 80), 640)) == (100, 80)


def test_a_narrow_photo_keeps_a_pixel(jpeg):
    assert _size(shrink(jpeg(2000, 3), 160)) == (160, 1)


def test_grey_and_cmyk_are_made_rgb():
    for mode in ("L", "CMYK"):
        out = BytesIO()
        Image.new(mode, (400, 300)).save(out, "JPEG")
        with Image.open(BytesIO(shrink(out.getvalue(), 160))) as small:
            assert small.mode == "RGB"


@pytest.mark.parametrize("cut", [0, 2, 20, 200, 2000])
def test_a_cut_off_image_is_a_problem(jpeg, cut):
    with pytest.raises(ProblemError, match="broken"):
        shrink(jpeg()[:cut], 160)


def test_another_format_is_not_even_looked_at():
    out = BytesIO()
    Image.new("RGB", (40, 30)).save(out, "PNG")
    with pytest.raises(ProblemError, match="broken"):
        shrink(out.getvalue(), 160)


def test_a_tiny_file_that_claims_a_gigantic_image_is_refused(jpeg):
    """65535 x 65535 pixels would take 12 GiB."""
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(ProblemError) as caught:
        shrink(bytes(data), 160)
    assert caught.value.kind.status == 422
    assert MAX_PIXELS < 65535 * 65535


async def test_each_is_made_once_however_many_ask(archive, jpeg, monkeypatch):
    """Forty requests for one thumbnail that is not there yet read the photo once."""
    photo = archive.store(jpeg(1600, 1200))
    reads = []
    read = archive.blobs.read
    monkeypatch.setattr(archive.blobs, "read", lambda *name: (reads.append(name), read(*name))[1])
    async with archive.client("reader") as client:
        answers = await asyncio.gather(*(client.get(f"/api/v1/photos/{photo}/thumbnail") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert reads == [("cam", photo)]


async def test_it_is_kept_on_the_disk_whole_and_made_again_when_it_is_gone(archive, jpeg):
    photo = archive.store(jpeg())
    folder = archive.settings.data_dir / "thumbnails"
    async with archive.client("reader") as client:
        first = (await client.get(f"/api/v1/photos/{photo}/thumbnail")).content
        (kept,) = [path for path in folder.rglob("*") if path.is_file()]
        assert kept.read_bytes() == first
        kept.unlink()
        assert (await client.get(f"/api/v1/photos/{photo}/thumbnail")).content == first
        assert kept.read_bytes() == first


async def test_a_cache_that_can_t_be_written_costs_nobody_a_thumbnail(archive, jpeg):
    """Here a file is where the folder should be; a full disk is the same to it."""
    (archive.settings.data_dir / "thumbnails").write_text("in the way")
    photo = archive.store(jpeg())
    async with archive.client("reader") as client:
        assert (await client.get(f"/api/v1/photos/{photo}/thumbnail")).status_code == 200


async def test_one_asker_who_leaves_takes_it_from_nobody(tmp_path, archive, jpeg):
    photo = archive.store(jpeg(1600, 1200))
    thumbnails = Thumbnails(root=tmp_path / "own", blobs=archive.blobs)
    sha256 = hashlib.sha256(archive.blobs.read("cam", photo)).hexdigest()
    ask = {"camera": "cam", "photo": photo, "sha256": sha256, "width": 320}
    leaving, staying = (asyncio.create_task(thumbnails.get(**ask)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert _size(await staying) == (320, 240)
    thumbnails.close()


async def test_a_photo_whose_bytes_are_gone_has_none(tmp_path, archive):
    thumbnails = Thumbnails(root=tmp_path / "own", blobs=archive.blobs)
    with pytest.raises(NotFoundError):
        await thumbnails.get(camera="cam", photo="a" * 26, sha256="0" * 64, width=320)
    thumbnails.close()
    assert not list(os.scandir(tmp_path)) or not list((tmp_path / "own").rglob("*.jpg"))
