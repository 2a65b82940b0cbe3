"""What TLS costs a hand-over: 100 KB by FTPS as a camera does it (TLS 1.2, no session reuse) beside the clear."""

import ssl
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from aperture.tls import authority
from aperture.tls.files import TlsFiles
from bench import photos, processes
from bench.uploader import Uploader

ROUNDS = 5
PHOTOS = 60


def run() -> Iterator[dict[str, Any]]:
    """Yield milliseconds from SITE to 226, round by round in turn, and what the server computes for each upload."""
    with processes.aperture("broker", prepare=_certify, APERTURE_FTP__TLS="allow") as system:
        ((name, token),) = processes.add_cameras(system.data_dir, 1)
        trust = ssl.create_default_context(cafile=str(TlsFiles.of(system.data_dir).ca_pem))
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        processes.wait_for(lambda: _logs_in(system.ftp, name, token), "the camera's account")
        uploaders = {
            "plain": Uploader(system.ftp, name, token),
            "tls": Uploader(system.ftp, name, token, trust=trust),
        }
        took: dict[str, list[float]] = {way: [] for way in uploaders}
        computed = dict.fromkeys(uploaders, 0.0)
        for _ in range(ROUNDS):
            for way, uploader in uploaders.items():
                before = _cpu_s(system.pid)
                took[way] += [_upload_ms(uploader, shot) for shot in photos.make(PHOTOS // ROUNDS)]
                computed[way] += _cpu_s(system.pid) - before
        for way, uploader in uploaders.items():
            uploader.close()
            yield {
                "what": f"100 KB, {way}",
                "p50_ms": round(statistics.median(took[way]), 2),
                "p90_ms": round(statistics.quantiles(took[way], n=10)[-1], 2),
                "server_cpu_ms": round(1000 * computed[way] / PHOTOS, 2),
            }


def _certify(data_dir: Path) -> None:
    authority.init(TlsFiles.of(data_dir), hosts=["127.0.0.1"])


def _logs_in(address: tuple[str, int], name: str, token: str) -> bool:
    try:
        Uploader(address, name, token).close()
    except ConnectionError:
        return False
    return True


def _upload_ms(uploader: Uploader, shot: photos.Shot) -> float:
    began = time.monotonic()
    uploader.upload(shot)
    return (time.monotonic() - began) * 1000


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
