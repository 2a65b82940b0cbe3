"""A plain CPython client that is logged in already: at each line of its input it uploads, and says when it began.

`EPSV`, connect, `STOR`, wait for the 150, the bytes, wait for the 226: what any FTP library does for a photo. It runs
as a process of its own, so that it can stand at the far end of the same bad network as the camera.
"""

import re
import socket
import sys
import time
from pathlib import Path

from aperture.contract.ids import new_photo_id

_EPSV = re.compile(r"\|\|\|(\d+)\|")


class Session:
    """A control connection, logged in."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._host = host
        self._control = socket.create_connection((host, port), timeout=30)
        self._control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._control.makefile("r", newline="\r\n")
        self._expect("220")
        for line, code in ((f"USER {user}", "331"), (f"PASS {password}", "230"), ("TYPE I", "200")):
            self._ask(line, code)

    def upload(self, data: bytes) -> int:
        """Upload as a new photo; return CLOCK_MONOTONIC (ns) at the start."""
        started_ns = time.monotonic_ns()
        found = _EPSV.search(self._ask("EPSV", "229"))
        if found is None:
            raise ConnectionError("no port in the answer to EPSV")
        with socket.create_connection((self._host, int(found[1])), timeout=30) as link:
            self._ask(f"STOR {new_photo_id()}.jpg", "1")
            link.sendall(data)
        self._expect("226")
        return started_ns

    def _ask(self, line: str, code: str) -> str:
        self._control.sendall(f"{line}\r\n".encode())
        return self._expect(code)

    def _expect(self, code: str) -> str:
        line = self._lines.readline()
        if not line.startswith(code):
            raise ConnectionError(f"wanted {code}, got {line!r}")
        return line


def main(host: str, port: str, user: str, password: str) -> None:
    """Upload the file that each line names."""
    session = Session(host, int(port), user, password)
    print("ready", flush=True)
    for line in sys.stdin:
        print(session.upload(Path(line.strip()).read_bytes()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:5])
