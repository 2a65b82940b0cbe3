"""Resident memory of `aperture up` at rest."""

import time
from collections.abc import Iterator
from typing import Any

import psutil

from bench import processes

REST_S = 5


def run() -> Iterator[dict[str, Any]]:
    """Yield the resident set of our process and of the broker that it runs, in MB (10^6 bytes)."""
    with (
        processes.stand_in() as discord,
        processes.aperture(
            APERTURE_DISCORD__WEBHOOK_URL=discord["webhook_url"], APERTURE_DISCORD__API_BASE=discord["api_base"]
        ) as system,
    ):
        time.sleep(REST_S)  # at rest is what is measured
        process = psutil.Process(system.pid)
        children = process.children(recursive=True)
        yield {
            "what": "aperture up at rest",
            "rss_mb": _mb(process),
            "children": {child.name(): _mb(child) for child in children},
            "total_mb": round(sum(_mb(one) for one in [process, *children]), 1),
            "threads": process.num_threads(),
            "budget": 120,
        }


def _mb(process: psutil.Process) -> float:
    return round(process.memory_info().rss / 1e6, 1)
