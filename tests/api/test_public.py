import hashlib

import pytest

from aperture.clock import now_ms
from aperture.contract.ids import new_photo_id
from aperture.store import photos


async def test_a_link_shows_the_exact_bytes_to_anyone(archive, stranger, jpeg):
    data = jpeg()
    photo = archive.store(data)
    answer = await stranger.get(f"/p/{photo}.jpg")
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "image/jpeg"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "noindex" in answer.headers["x-robots-tag"]
    head = await stranger.head(f"/p/{photo}.jpg")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(data)))
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    assert (await stranger.get(f"/p/{photo}.jpg", headers={"If-None-Match": etag})).status_code == 304
    assert (await stranger.get(f"/p/{photo}.jpg", headers={"Range": "bytes=0-9"})).content == data[:10]


async def test_whatever_is_not_there_looks_the_same(archive, stranger, jpeg):
    """Nobody learns from the answer whether a photo ever was."""
    deleted = archive.store(jpeg(64, 48))
    archive.database.write(lambda one: photos.delete(one, photo=deleted, now_ms=now_ms()))
    announced = new_photo_id()
    archive.announce(jpeg(64, 48), photo=announced)
    lost = archive.store(jpeg(64, 48))
    archive.blobs.path("cam", lost).unlink()
    answers = [
        await stranger.get(f"/p/{photo}.jpg")
        for photo in (new_photo_id(), deleted, announced, lost, "x", "..", "%2e%2e%2fetc%2fpasswd", "a" * 5000)
    ]
    assert {answer.status_code for answer in answers} == {404}
    own = [answer for answer in answers if "not-found" in answer.text]
    assert len(own) >= 6
    assert len({answer.content for answer in own}) == 1
    assert len({tuple(sorted(set(answer.headers) - {"date"})) for answer in own}) == 1


@pytest.mark.parametrize("path", ["/p/", "/p", "/p/{photo}", "/p/{photo}.png", "/p/{photo}.jpg/"])
async def test_only_the_address_itself_works(archive, stranger, jpeg, path):
    photo = archive.store(jpeg(64, 48))
    assert (await stranger.get(path.format(photo=photo))).status_code == 404
