"""A photo that is handed over: 226 means complete, verified, on disk and in the database."""

import hashlib


def test_226_means_stored(house, jpeg, photo_id):
    """After 226 the bytes are under their final name, the row and one event are there, and no partial is."""
    camera = house.camera()
    assert camera.put(f"STOR {photo_id}.jpg", jpeg).startswith("226")
    assert house.stored("front-door", photo_id) == jpeg
    (row,) = house.rows()
    assert (row.width, row.height, row.bytes) == (320, 240, len(jpeg))
    assert row.sha256 == hashlib.sha256(jpeg).hexdigest()
    assert row.upload_started_ms <= row.received_ms <= row.stored_ms
    assert house.events() == ["photo.stored"]
    assert not list(house.partial_dir.glob("*/*"))
