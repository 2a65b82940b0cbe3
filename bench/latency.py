"""From a photo's last FTP byte to the stand-in having the whole body: durable, and beside two that are not.

The three take turns, photo by photo, so that whatever slows the machine slows them alike.
"""

import http.client
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bench import photos, processes
from bench.photos import Shot
from bench.uploader import Uploader

PHOTOS = 200
WARM_UP = 10
SETTLE_S = 0.01
_HEAD = b'--b\r\nContent-Disposition: form-data; name="files[0]"; filename="p.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures, and the ratios that have a budget."""
    port = processes.free_port()
    with processes.stand_in() as discord:
        environment = {
            "APERTURE_DISCORD__WEBHOOK_URL": discord["webhook_url"],
            "APERTURE_DISCORD__API_BASE": discord["api_base"],
            "APERTURE_DISCORD__CHANNEL_PER_MINUTE": "100000",
        }
        webhook = _called_at(discord)
        with (
            processes.aperture(**environment) as system,
            processes.child("-m", "bench.baselines", str(port), webhook),
        ):
            processes.wait_for(lambda: processes.listens(port), "the baseline")
            ((name, token),) = processes.add_cameras(system.data_dir, 1)
            ours = processes.wait_for(lambda: _try_login(system.ftp, name, token), "the camera's account")
            theirs = Uploader(("127.0.0.1", port), "bench", "bench", ours=False)
            post = _Post(webhook)
            ways = {"aperture": ours.upload, "requests in the callback": theirs.upload, "POST from memory": post.send}
            figures = _measure(discord["url"], ways)
            ours.close()
            theirs.close()
    medians = {name: statistics.median(times) for name, times in figures.items()}
    for name, times in figures.items():
        yield {"what": name, "photos": len(times), "p50_ms": _ms(medians[name]), "p99_ms": _ms(_percentile(times, 99))}
    durable = medians["aperture"]
    yield {"what": "ratio to requests", "ratio": round(durable / medians["requests in the callback"], 2), "budget": 1.0}
    yield {"what": "ratio to POST", "ratio": round(durable / medians["POST from memory"], 2), "budget": 4.0}


def _measure(url: str, ways: dict[str, Callable[[Shot], int]]) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {name: [] for name in ways}
    number = 0
    for turn in range(WARM_UP + PHOTOS):
        for name, send in ways.items():
            (shot,) = photos.make(1)
            sent_ns = send(shot)
            time.sleep(SETTLE_S)  # a question at the stand-in just now would stand in the photo's way
            record = processes.wait_for(partial(_arrived, url, number), f"{name}'s photo", 10)
            number = record["number"]
            if turn >= WARM_UP:
                figures[name].append((record["received_ns"] - sent_ns) / 1e6)
    return figures


def _arrived(url: str, since: int) -> dict[str, Any] | None:
    posts = [record for record in processes.seen(url, since) if record["method"] == "POST" and record["received_ns"]]
    return posts[-1] if posts else None


class _Post:
    """A keep-alive connection that sends bytes which are in memory already."""

    def __init__(self, webhook: str) -> None:
        parts = urlsplit(webhook)
        self._path = f"{parts.path}?wait=true"
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def send(self, shot: Shot) -> int:
        """Send and return CLOCK_MONOTONIC (ns) at the start."""
        body = _HEAD + shot.data + b"\r\n--b--\r\n"
        started_ns = time.monotonic_ns()
        self._connection.request("POST", self._path, body, {"Content-Type": "multipart/form-data; boundary=b"})
        self._connection.getresponse().read()
        return started_ns


def _called_at(discord: dict[str, str]) -> str:
    """Return the webhook's address at the stand-in itself: its URL is Discord's own."""
    identity, token = urlsplit(discord["webhook_url"]).path.rstrip("/").split("/")[-2:]
    return f"{discord['api_base']}/webhooks/{identity}/{token}"


def _try_login(address: tuple[str, int], name: str, token: str) -> Uploader | None:
    try:
        return Uploader(address, name, token)
    except ConnectionError:
        return None


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def _ms(value: float) -> float:
    return round(value, 2)
