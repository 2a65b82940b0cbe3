"""When the rows or the bytes can't be read for a while, the bridge goes on by itself once they can."""

import asyncio
import io
import sqlite3
from contextlib import contextmanager

import pytest
from PIL import Image
from structlog.testing import capture_logs

from aperture.clock import now_ms
from aperture.store import photos
from aperture.store.errors import DiskFullError
from bridge.mqtt.complaints import Complaints
from bridge.outbox.shrink import MOST_BYTES, shrink
from bridge.tuning import Backoff
from simulator.discord.faults import Fault, FaultKind


@contextmanager
def table_away(home, table):
    """A database that does not answer: the table is not where it was."""

    def rename(old, new):
        with sqlite3.connect(home.folder / "aperture.db", isolation_level=None, timeout=5) as other:
            other.execute(f"ALTER TABLE {old} RENAME TO {new}")
        other.close()

    rename(table, "elsewhere")
    yield
    rename("elsewhere", table)


@pytest.mark.parametrize("table", ["event", "delivery", "photo", "command"])
async def test_rows_that_are_away_for_a_while(home, until, table) -> None:
    """Said once; nothing is lost; the next photo is posted when they are back."""
    with capture_logs() as logs:
        async with home.bridge() as bridge:
            first = home.archive.new_photo()
            home.archive.store(first)
            await until(lambda: home.archive.record(first).stages.posted)
            with table_away(home, table):
                home.archive.hints.wake()
                await until(lambda: [log for log in logs if "does not answer" in str(log.get("error"))])
            second = home.archive.new_photo()
            home.archive.store(second)
            await until(lambda: home.archive.record(second).stages.posted)
            assert bridge.ready.is_set()
    assert home.discord.message_total == 2


async def test_a_lease_that_can_not_be_renewed_ends_the_tenure(home, until) -> None:
    """Without its row a bridge can't know whether it is alone: it stops in time, and serves again when it can."""
    async with home.bridge() as bridge:
        with table_away(home, "lease"):
            await until(lambda: not bridge.ready.is_set())
        await until(bridge.ready.is_set, timeout_s=10)
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await until(lambda: home.archive.record(photo).stages.posted)


async def test_bytes_that_can_not_be_read_now_are_read_later(home, until) -> None:
    """A disk that fails for a while delays its photo, without a doubt about Discord, and nobody else's."""
    photo, other = home.archive.new_photo(), home.archive.new_photo()
    home.archive.store(photo, hint=False)
    home.archive.store(other, hint=False)
    path = home.archive.blobs.path(photo.camera, photo.id)
    path.rename(path.with_suffix(".away"))
    path.mkdir()  # whoever reads a folder gets an error that is not "not found"
    async with home.bridge():
        await until(lambda: home.archive.record(other).stages.posted)
        await until(lambda: "does not work" in (home.archive.delivery(photo).error or ""))
        path.rmdir()
        path.with_suffix(".away").rename(path)
        await until(lambda: home.archive.record(photo).stages.posted)
    assert home.archive.delivery(photo).uncertain == 0
    assert home.discord.message_total == 2


async def test_bytes_that_changed_on_the_disk_are_not_posted(home, until) -> None:
    """A torn picture is shown nowhere; once the photo is restored it is posted, and meanwhile all others are."""
    photo, other = home.archive.new_photo(), home.archive.new_photo()
    home.archive.store(photo, hint=False)
    home.archive.store(other, hint=False)
    path = home.archive.blobs.path(photo.camera, photo.id)
    path.write_bytes(photo.data[:-20])
    async with home.bridge():
        await until(lambda: home.archive.record(other).stages.posted)
        await until(lambda: "not those that were stored" in (home.archive.delivery(photo).error or ""))
        path.write_bytes(photo.data)
        await until(lambda: home.archive.record(photo).stages.posted)
    assert home.discord.message_total == 2


async def test_a_photo_deleted_before_its_edit_is_not_edited(home, until, camera_on) -> None:
    async with home.bridge(), camera_on() as camera:
        photo = home.archive.new_photo()
        home.archive.store(photo)
        await until(lambda: home.archive.record(photo).stages.posted)
        home.discord.misbehave(Fault(kind=FaultKind.FAIL_BEFORE, method="PATCH", times=None))
        await camera.say("shutter", photo.manifest())
        await until(lambda: (home.archive.delivery(photo).error or "").startswith("HTTP 503"))
        home.archive.database.write(lambda c: photos.delete(c, photo=photo.id, now_ms=now_ms()))
        await until(lambda: home.archive.delivery(photo).edit_wanted == 0)
        assert home.archive.delivery(photo).error == "the photo was deleted"


async def test_a_full_disk_does_not_end_the_bridge(home, until, monkeypatch) -> None:
    """No row can be written, the lease's neither: the bridge rests, ends nothing around it, and serves again.

    It says why, once, though it tries again and again; and blames no other bridge.
    """
    bridge = home.make()
    task = asyncio.create_task(bridge.run())
    await asyncio.wait_for(bridge.ready.wait(), 5)

    tries = 0

    def full(_work):
        nonlocal tries
        tries += 1
        raise DiskFullError("the disk with the database is full: make room")

    with monkeypatch.context() as disk, capture_logs() as log:
        disk.setattr(home.archive.database, "write", full)
        await until(lambda: any("lost its lease" in line["event"] for line in log) or task.done())
        lines, enough = len(log), tries + 4
        await until(lambda: tries >= enough or task.done())
        assert not task.done()
        assert len(log) <= lines + 1
    assert [line["error"] for line in log if "lease can't be written" in line["event"]] == [
        "the disk with the database is full: make room"
    ]
    assert "another bridge" not in str(log)
    await until(bridge.ready.is_set, timeout_s=10)
    with monkeypatch.context() as disk:
        disk.setattr(home.archive.database, "write", full)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


def test_a_message_that_breaks_us_is_a_bounded_complaint_with_one_traceback() -> None:
    complaints = Complaints()
    with capture_logs() as logs:
        for number in range(1000):
            complaints.broke("a/status", OverflowError("x" * 10_000))
            complaints.broke(f"{number}/status", OverflowError("x"))
    assert len([log for log in logs if "exc_info" in log and log["source"] == "a/status"]) == 1
    assert len([log for log in logs if "exc_info" in log]) <= 256
    assert len([log for log in logs if "exc_info" not in log]) <= 5 * 257
    assert len([log for log in logs if log["source"] == "a/status"]) == 6


def test_complaints_are_bounded() -> None:
    """Whoever talks nonsense gets five lines a minute; a thousand talkers get no more than a bounded number."""
    complaints = Complaints()
    with capture_logs() as logs:
        for _ in range(100):
            complaints.about("a/status", "no JSON")
        assert len(logs) == 5
        for number in range(1000):
            complaints.about(f"{number}/status", "x" * 10_000)
    assert len(logs) <= 5 + 255 + 5
    assert max(len(log["reason"]) for log in logs) == 300
    complaints._since_s -= 61
    with capture_logs() as logs:
        complaints.about("a/status", "no JSON")
    assert logs[0]["left_out"]["a/status"] == 95


def test_shrinking_makes_a_photo_that_fits(jpeg) -> None:
    """At most half as large, still a JPEG; what is no photo can't be shrunk."""
    data = jpeg(1, width=1600, noise=True)
    smaller = shrink(data)
    assert len(smaller) <= min(MOST_BYTES, len(data) // 2)
    with Image.open(io.BytesIO(smaller)) as image:
        assert (image.format, image.width % 100) == ("JPEG", 0)
    assert shrink(b"no photo") is None
    assert shrink(data[:3000]) is None
    assert shrink(jpeg(1, width=32)) is None


def test_pauses_double_up_to_their_bound_with_jitter() -> None:
    backoff = Backoff(first=1, most=60)
    pauses = [backoff.next() for _ in range(40)]
    for number, pause in enumerate(pauses):
        assert min(60, 2**number) / 2 <= pause <= min(60, 2**number)
    backoff.reset()
    assert backoff.next() <= 1


async def test_a_posted_photos_row_is_written_once_it_can_be(home, until) -> None:
    """The answer comes while the rows are away: it is not forgotten, and the photo is not sent again."""
    home.discord.misbehave(Fault(kind=FaultKind.DELAY, delay_ms=200))
    photo = home.archive.new_photo()
    with capture_logs() as logs:
        async with home.bridge():
            home.archive.store(photo)
            await home.discord.wait_for_messages(1)
            with table_away(home, "delivery"):
                await until(lambda: [log for log in logs if "can't be written down" in log["event"]])
            await until(lambda: home.archive.record(photo).stages.posted)
    assert home.discord.message_total == 1
    assert home.archive.delivery(photo).uncertain == 0


async def test_a_bridge_whose_rows_are_away_at_its_start_starts_again(home, until) -> None:
    """It says what is wrong, and serves once the rows are there."""
    bridge = home.make()
    with capture_logs() as logs, table_away(home, "destination"):
        task = asyncio.create_task(bridge.run())
        await until(lambda: [log for log in logs if "starts again" in log["event"]])
    await asyncio.wait_for(bridge.ready.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
