import asyncio
import re
import shutil

import pytest

from aperture.clock import now_ms
from aperture.contract.messages import Status
from aperture.store import cameras
from aperture.store.errors import StoreUnavailableError

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? -?[0-9.e+-]+')


async def test_alive_tells_the_version(stranger):
    assert (await stranger.get("/healthz")).json() == {"status": "ok", "version": "1.2.3"}


async def test_ready_when_all_parts_are(archive, stranger):
    archive.health.update(broker=None, ftp=None)
    answer = await stranger.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "photos": "ok", "broker": "ok", "ftp": "ok"}},
    )
    assert not list(archive.settings.photos_dir.iterdir())


async def test_not_ready_while_another_part_is_down(archive, stranger):
    archive.health.update(broker="not running", ftp=None)
    answer = await stranger.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"] == "not running"
    assert "broker: not running" in answer.json()["detail"]


async def test_not_ready_when_photos_can_t_be_written_and_ready_again_after(archive, stranger):
    """Here the folder is gone; nothing of where it was is told to strangers."""
    shutil.rmtree(archive.settings.photos_dir)
    answer = await stranger.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["photos"] == "the folder can't be written"
    assert str(archive.settings.data_dir) not in answer.text
    archive.settings.photos_dir.mkdir()
    async with asyncio.timeout(5):
        while (await stranger.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - asking is how it is known
            await asyncio.sleep(0.1)


async def test_not_ready_when_the_database_does_not_answer(archive, stranger, monkeypatch):
    async def fail(_work):
        raise StoreUnavailableError("locked: /secret/path")

    monkeypatch.setattr(archive.database, "aread", fail)
    answer = await stranger.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "does not answer"
    assert "/secret/path" not in answer.text
    assert (await stranger.get("/healthz")).status_code == 200


async def test_strangers_can_t_make_it_check_over_and_over(archive, stranger, monkeypatch):
    asked = []
    aread = archive.database.aread
    monkeypatch.setattr(archive.database, "aread", lambda work: (asked.append(1), aread(work))[1])
    await asyncio.gather(*(stranger.get("/readyz") for _ in range(30)))
    assert len(asked) <= 2


async def test_metrics_are_prometheus_text_and_count_what_is_there(archive, reader, jpeg):
    archive.add_camera("other")
    data = jpeg(64, 48)
    for _ in range(3):
        archive.store(data)
    archive.announce(data, photo="a" * 26)
    await archive.commands.make(camera="cam", do="shutter", origin="test", now_ms=now_ms())
    archive.database.write(lambda one: cameras.set_status(one, camera="cam", status=Status(queue=4), now_ms=1))
    answer = await reader.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    for wanted in (
        'aperture_info{version="1.2.3"} 1',
        'aperture_photos{state="stored"} 3',
        'aperture_photos{state="announced"} 1',
        'aperture_photos{state="suspect"} 0',
        'aperture_cameras{presence="offline"} 2',
        'aperture_cameras{presence="online"} 0',
        'aperture_camera_queue{camera="cam"} 4',
        'aperture_commands{state="queued"} 1',
        'aperture_stage_seconds{stage="uploaded",quantile="0.5"} 0.19',
        'aperture_stage_seconds{stage="stored",quantile="0.99"} 0.01',
        "aperture_destinations_parked 0",
    ):
        assert wanted in lines
    assert all(LINE.fullmatch(line) or line.startswith("# ") for line in lines)


@pytest.mark.parametrize(("value", "text"), [("a", "a"), ('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb")])
def test_label_values_are_escaped(value, text):
    from api.metrics import _labels

    assert _labels({"x": value}) == f'{{x="{text}"}}'


async def test_no_photos_no_quantiles(reader):
    assert "aperture_stage_seconds{" not in (await reader.get("/metrics")).text
