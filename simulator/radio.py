"""Wi-Fi on a PC: a network namespace that is reached through two TUN devices with rate, delay, loss and cuts.

What runs in there (`Radio.enter` is the prefix of its command line) finds the rest of this machine at `Radio.server`.
TCP itself meets the loss, as on the air. It needs root, Linux and /dev/net/tun; `link` does without. Run as a program
this is the air itself: it goes with its standard input, and takes "cut" and "heal" there.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Self

from simulator.errors import NotAvailableError

_TUN: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_NO_PI: Final = 0x1001
_CLONE_NEWNET: Final = 0x40000000
_MTU: Final = 1500
_MOST_WAITING: Final = 128
_BLOCKS: Final = 32_768
_READY_S: Final = 10


def why_not() -> str | None:
    """Return why there can be no radio here, or None when there can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not os.access(_TUN, os.R_OK | os.W_OK):
        return f"needs Linux, root and {_TUN}"
    missing = [program for program in ("ip", "nsenter") if shutil.which(program) is None]
    if missing:
        return f"needs {' and '.join(missing)}: apt-get install iproute2 util-linux"
    return None


def addresses(pid: int) -> tuple[str, str]:
    """Return the two ends' addresses, of a /30 in the network for benchmarks (RFC 2544) that is this process's own."""
    first = pid % _BLOCKS * 4
    base = f"198.{18 + (first >> 16)}.{first >> 8 & 255}."
    return base + str((first & 255) + 1), base + str((first & 255) + 2)


class Radio:
    """The air, a context manager: `server` is this machine's address as seen from inside, `camera` the other end's.

    Rate and delay hold in each direction; `loss` is the share of packets that never arrive.
    """

    def __init__(self, *, bits_per_s: int = 0, delay_ms: float = 0, loss: float = 0, seed: int = 0) -> None:
        self._arguments = [str(bits_per_s), str(delay_ms), str(loss), str(seed)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Build it up.

        Raises:
            NotAvailableError: this machine does not let us.
        """
        reason = why_not()
        if reason:
            raise NotAvailableError(reason)
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-m", "simulator.radio", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said = self._process.stdout.readline() if self._process.stdout else ""
        if said.strip() != "ready":
            complaint = self._process.communicate(timeout=_READY_S)[1].strip().splitlines()
            raise NotAvailableError(f"no TUN devices here: {complaint[-1] if complaint else 'it ended'}")
        self.server, self.camera = addresses(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate(timeout=_READY_S)

    @property
    def enter(self) -> list[str]:
        """What a command line begins with that is to run on the other end."""
        if self._process is None:
            raise NotAvailableError("the radio is off")
        return ["nsenter", f"--net=/proc/{self._process.pid}/ns/net", "--"]

    def cut(self) -> None:
        """Let nothing pass from now on; nobody is told."""
        self._say("cut")

    def heal(self) -> None:
        """Let packets pass again."""
        self._say("heal")

    def _say(self, word: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            print(word, file=self._process.stdin, flush=True)


class Air:
    """One direction: what was sent arrives when its turn has come."""

    def __init__(self, to: int, *, bits_per_s: int, delay_ms: float, loss: float, dice: random.Random) -> None:
        self._to, self._rate, self._delay_s, self._loss = to, bits_per_s, delay_ms / 1000, loss
        self._dice = dice
        self._free_at = 0.0
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0

    def send(self, packet: bytes, now: float) -> None:
        """Take a packet, or lose it: by chance, or as no more fit."""
        if self._dice.random() < self._loss or len(self._waiting) >= _MOST_WAITING:
            return
        self._free_at = max(now, self._free_at) + (len(packet) * 8 / self._rate if self._rate else 0)
        self._count += 1
        heapq.heappush(self._waiting, (self._free_at + self._delay_s, self._count, packet))

    def deliver(self, now: float) -> float | None:
        """Hand over what is due; return when the next will be."""
        while self._waiting and self._waiting[0][0] <= now:
            os.write(self._to, heapq.heappop(self._waiting)[2])
        return self._waiting[0][0] if self._waiting else None


def main(bits_per_s: int, delay_ms: float, loss: float, seed: int) -> None:
    """Be the air until standard input ends."""
    here, there = addresses(os.getpid())
    outer = _device("aa-out" + str(os.getpid() % _BLOCKS), here, there)
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        sys.exit(os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607 - wherever it is
    inner = _device("aa-in", there, here)
    dice = random.Random(seed)  # noqa: S311 - to be had again
    airs = {
        source: Air(to, bits_per_s=bits_per_s, delay_ms=delay_ms, loss=loss, dice=dice)
        for source, to in ((outer, inner), (inner, outer))
    }
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    carry(airs)


def carry(airs: dict[int, Air]) -> None:
    """Carry packets until standard input ends; "cut" and "heal" are taken there."""
    is_cut, wake_at = False, None
    while True:
        timeout_s = None if wake_at is None else max(0, wake_at - time.monotonic())
        ready, _, _ = select.select([0, *airs], [], [], timeout_s)
        if 0 in ready:
            words = os.read(0, 64).split()
            if not words:
                return
            is_cut = words[-1] == b"cut"
        for source in airs.keys() & set(ready):
            packet = os.read(source, _MTU + 64)
            if not is_cut:
                airs[source].send(packet, time.monotonic())
        now = time.monotonic()
        wakes = [wake for air in airs.values() if (wake := air.deliver(now)) is not None]
        wake_at = min(wakes, default=None)


def _device(name: str, address: str, peer: str) -> int:
    """Make a TUN device in the namespace that this process is in, and return its file descriptor."""
    handle = os.open(_TUN, os.O_RDWR)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN_NO_PI))
    for command in (
        ["ip", "address", "add", address, "peer", peer, "dev", name],
        ["ip", "link", "set", name, "mtu", str(_MTU), "up"],
    ):
        subprocess.run(command, check=True)  # noqa: S603 - fixed words
    return handle


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
