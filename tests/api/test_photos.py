import asyncio
import hashlib
from io import BytesIO

import pytest
from PIL import Image

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.store import photos


async def test_a_page_is_newest_first_and_pages_meet_without_gap_or_overlap(archive, reader, jpeg):
    """Walking by `next` shows each photo once, also those of the very same millisecond, while newer ones arrive."""
    data = jpeg(64, 48)
    at_ms = now_ms()
    stored = [archive.store(data, at_ms=at_ms - (index // 3) * 1000) for index in range(11)]
    seen, before = [], None
    while True:
        params = {"limit": 3} | ({"before": before} if before else {})
        page = (await reader.get("/api/v1/photos", params=params)).json()
        seen += [photo["id"] for photo in page["photos"]]
        archive.store(data, at_ms=at_ms + 60_000)
        before = page["next"]
        if before is None:
            break
    assert sorted(seen) == sorted(stored)
    assert len(set(seen)) == len(seen)


async def test_a_page_may_be_of_one_camera(archive, reader, jpeg):
    archive.add_camera("other")
    archive.store(jpeg(64, 48), camera="other")
    mine = archive.store(jpeg(64, 48))
    page = (await reader.get("/api/v1/photos", params={"camera": "cam"})).json()
    assert [photo["id"] for photo in page["photos"]] == [mine]
    assert page["next"] is None
    assert (await reader.get("/api/v1/photos", params={"camera": "nobody"})).json() == {"photos": [], "next": None}


@pytest.mark.parametrize(
    "before", ["x", "====", "MTox", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTphYQ", "ä", "MTo\u0000"]
)
async def test_a_made_up_place_is_refused_in_words(reader, before):
    """A `before` that no page gave is the asker's mistake: 422, never 500."""
    answer = await reader.get("/api/v1/photos", params={"before": before})
    assert answer.status_code == 422
    assert "before" in answer.json()["detail"]


async def test_a_photo_s_record_has_every_name_of_the_contract(archive, reader, jpeg):
    data = jpeg(64, 48)
    photo = new_photo_id()
    archive.announce(data, photo=photo, taken_at_ms=now_ms() - 500, stage_ms={"captured": 120})
    archive.store(data, photo=photo)
    record = (await reader.get(f"/api/v1/photos/{photo}")).json()
    assert set(record) == {
        "id", "camera", "seq", "trigger", "state", "origin", "taken_at_ms", "bytes", "sha256", "width", "height",
        "url", "thumbnail_url", "labels", "stages", "deliveries",
    }  # fmt: skip
    assert set(record["stages"]) == {
        "pressed", "captured", "announced", "upload_started", "received", "stored", "posted",
    }  # fmt: skip
    assert record["state"] == "stored"
    assert record["url"] == f"/p/{photo}.jpg"
    assert record["stages"]["captured"] - record["stages"]["pressed"] == 120


async def test_an_announced_photo_is_shown_without_links_and_has_no_image_yet(archive, reader, jpeg):
    photo = new_photo_id()
    archive.announce(jpeg(64, 48), photo=photo)
    record = (await reader.get(f"/api/v1/photos/{photo}")).json()
    assert (record["state"], record["url"], record["thumbnail_url"]) == ("announced", None, None)
    for kind in ("image", "thumbnail"):
        answer = await reader.get(f"/api/v1/photos/{photo}/{kind}")
        assert answer.status_code == 404
        assert "announced" in answer.json()["detail"]


async def test_the_image_is_the_exact_bytes_and_may_be_kept_for_good(archive, reader, jpeg):
    data = jpeg()
    photo = archive.store(data)
    answer = await reader.get(f"/api/v1/photos/{photo}/image")
    assert answer.content == data
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert {"private", "immutable"} <= {part.strip() for part in answer.headers["cache-control"].split(",")}
    head = await reader.head(f"/api/v1/photos/{photo}/image")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(data))
    assert head.headers["etag"] == answer.headers["etag"]


async def test_who_has_the_image_is_told_so(archive, reader, jpeg):
    data = jpeg(64, 48)
    photo = archive.store(data)
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await reader.get(f"/api/v1/photos/{photo}/image", headers={"If-None-Match": given})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    answer = await reader.get(f"/api/v1/photos/{photo}/image", headers={"If-None-Match": '"other"'})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-0", slice(0, 1)), ("bytes=10-19", slice(10, 20)), ("bytes=100-", slice(100, None)),
     ("bytes=-7", slice(-7, None)), ("bytes=0-99999999", slice(None)), ("bytes=-99999999", slice(None))],
)  # fmt: skip
async def test_a_range_is_that_part(archive, reader, jpeg, asked, part):
    data = jpeg(64, 48)
    photo = archive.store(data)
    answer = await reader.get(f"/api/v1/photos/{photo}/image", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == data[part]
    first = range(len(data))[part][0]
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(data)}"


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=-0", "bytes=9999999-99999999"])
async def test_a_range_outside_is_a_416_that_tells_the_length(archive, reader, jpeg, asked):
    data = jpeg(64, 48)
    photo = archive.store(data)
    answer = await reader.get(f"/api/v1/photos/{photo}/image", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(data)}"
    assert answer.json()["type"] == "urn:aperture:problem:range-not-satisfiable"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
async def test_a_range_that_makes_no_sense_is_ignored(archive, reader, jpeg, asked):
    """RFC 9110, 14.2: an invalid Range header is ignored; several ranges may be."""
    data = jpeg(64, 48)
    photo = archive.store(data)
    answer = await reader.get(f"/api/v1/photos/{photo}/image", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, data)


async def test_a_range_of_another_version_gets_the_whole(archive, reader, jpeg):
    data = jpeg(64, 48)
    photo = archive.store(data)
    headers = {"Range": "bytes=0-9", "If-Range": '"older"'}
    assert (await reader.get(f"/api/v1/photos/{photo}/image", headers=headers)).content == data


async def test_bytes_that_changed_on_the_disk_are_never_shown(archive, reader, stranger, jpeg):
    """Neither through the API nor through the public link."""
    data = jpeg(64, 48)
    photo = archive.store(data)
    path = archive.blobs.path("cam", photo)
    path.write_bytes(data[:-40] + bytes(40))
    for client, url in ((reader, f"/api/v1/photos/{photo}/image"), (stranger, f"/p/{photo}.jpg")):
        answer = await client.get(url)
        assert answer.status_code == 500
        assert answer.json()["type"] == "urn:aperture:problem:photo-damaged"
    path.write_bytes(data[:-1])
    assert (await reader.get(f"/api/v1/photos/{photo}/image")).status_code == 500
    thumbnail = f"/api/v1/photos/{photo}/thumbnail"
    path.write_bytes(data[:-40] + bytes(38) + data[-2:])  # it can be decoded, and shows a torn picture
    assert (await reader.get(thumbnail)).json()["type"] == "urn:aperture:problem:photo-damaged"
    path.write_bytes(data)
    assert (await reader.get(thumbnail)).status_code == 200


async def test_a_suspect_photo_is_not_kept_by_caches(archive, reader, jpeg):
    """Its bytes wait to be replaced under the same id."""
    photo = archive.store(jpeg(64, 48))
    archive.announce(jpeg(64, 48, seed=2), photo=photo)
    answer = await reader.get(f"/api/v1/photos/{photo}/image")
    assert answer.status_code == 200
    assert "immutable" not in answer.headers["cache-control"]


async def test_deleting_takes_record_bytes_thumbnails_and_tells_the_feed(archive, operator, stranger, jpeg):
    """After the 204 there is nothing left on the disk, and every address of the photo is a 404."""
    photo = archive.store(jpeg())
    for width in (160, 320):
        assert (await operator.get(f"/api/v1/photos/{photo}/thumbnail", params={"width": width})).status_code == 200
    assert (await operator.delete(f"/api/v1/photos/{photo}")).status_code == 204
    assert [path for path in archive.settings.data_dir.rglob(f"{photo}*") if path.is_file()] == []
    for suffix in ("", "/image", "/thumbnail"):
        assert (await operator.get(f"/api/v1/photos/{photo}{suffix}")).status_code == 404
    assert (await stranger.get(f"/p/{photo}.jpg")).status_code == 404
    assert (await operator.delete(f"/api/v1/photos/{photo}")).status_code == 404
    assert (await operator.get("/api/v1/photos")).json()["photos"] == []
    kinds = archive.database.read(lambda one: [row[0] for row in one.exec_driver_sql("SELECT kind FROM event")])
    assert kinds.count("photo.deleted") == 1


async def test_two_deletes_at_once_are_one(archive, operator, jpeg):
    photo = archive.store(jpeg(64, 48))
    answers = await asyncio.gather(*(operator.delete(f"/api/v1/photos/{photo}") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404]


async def test_bytes_left_of_a_deleted_photo_are_swept(stopped, running, jpeg):
    """The power went between the row and the file, or the camera handed it over again: the next start removes it."""
    stopped.add_camera()
    gone, kept = stopped.store(jpeg(64, 48)), stopped.store(jpeg(64, 48))
    stopped.database.write(lambda one: photos.delete(one, photo=gone, now_ms=now_ms()))
    async with running(stopped), asyncio.timeout(5):
        while stopped.blobs.size("cam", gone) is not None:  # noqa: ASYNC110 - a file tells nobody that it went
            await asyncio.sleep(0.01)
    assert stopped.blobs.size("cam", kept) is not None


@pytest.mark.parametrize(("asked", "made"), [(1, 160), (160, 160), (161, 320), (None, 320), (640, 640), (4096, 1280)])
async def test_a_thumbnail_is_the_next_larger_of_a_few_widths(archive, reader, jpeg, asked, made):
    photo = archive.store(jpeg(1600, 1200))
    params = {} if asked is None else {"width": asked}
    answer = await reader.get(f"/api/v1/photos/{photo}/thumbnail", params=params)
    with Image.open(BytesIO(answer.content)) as image:
        assert image.size == (made, made * 3 // 4)
    assert answer.headers["content-type"] == "image/jpeg"
    again = await reader.get(
        f"/api/v1/photos/{photo}/thumbnail", params=params, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("width", [0, -1, 4097, "wide"])
async def test_a_width_out_of_reason_is_refused(archive, reader, jpeg, width):
    photo = archive.store(jpeg(64, 48))
    assert (await reader.get(f"/api/v1/photos/{photo}/thumbnail", params={"width": width})).status_code == 422


async def test_a_photo_that_can_t_be_decoded_is_a_clear_problem_and_its_image_stays(archive, reader, jpeg):
    """Well-formed for the FTP server's check, impossible for a decoder: 422 for the thumbnail, the bytes as they are."""
    data = jpeg()
    scan = data.index(b"\xff\xc4")
    broken = data[: scan + 4] + b"\xff" * 30 + data[scan + 34 :]
    photo = archive.store(broken)
    answer = await reader.get(f"/api/v1/photos/{photo}/thumbnail")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:aperture:problem:photo-undecodable"
    assert (await reader.get(f"/api/v1/photos/{photo}/image")).content == broken


@pytest.mark.parametrize("photo", ["x", "../../etc/passwd", "A" * 26, "a" * 25, "a" * 27, "..%2f" * 5 + "a"])
async def test_what_is_no_id_finds_nothing(reader, photo):
    answer = await reader.get(f"/api/v1/photos/{photo}/image")
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"
