"""Cameras on a bad network, and a server that is restarted under them: what was answered 226 is there, once, whole."""

import contextlib
import hashlib
import os
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

import pytest

from aperture.contract.ids import new_photo_id


@dataclass
class Tally:
    handed_over: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    too_early: list[str] = field(default_factory=list)
    cuts: int = 0


class Camera:
    """Uploads photos, with half of its attempts cut off by FIN, RST, ABOR, or by vanishing."""

    def __init__(self, house, name, seed, tally, photos):
        self.house, self.name, self.tally, self.photos = house, name, tally, photos
        self.rng = random.Random(seed)

    def run(self, deadline):
        while time.monotonic() < deadline:
            photo, data = new_photo_id(), self.rng.choice(self.photos)
            while not self.deliver(photo, data):
                pass
            self.tally.handed_over[photo] = (self.name, data)

    def deliver(self, photo, data):
        """One session: True once it has seen a 226."""
        with contextlib.suppress(OSError, AssertionError), contextlib.ExitStack() as cleanup:
            wire = self.house.connect()
            cleanup.callback(wire.close)
            wire.login(self.name, self.house.secrets[self.name])
            for _ in range(4):
                answer = self.attempt(wire, photo, data)
                if answer != "again":
                    return answer == "226"
        return False

    def attempt(self, wire, photo, data):  # noqa: C901 - the ways in which a network fails
        known = wire.ask(f"SIZE {photo}.jpg")
        here = int(known.split()[1]) if known.startswith("213") else 0
        if here == len(data):
            return "226"  # the full length is told of stored photos alone
        wire.ask(f"SITE SHA256 {hashlib.sha256(data).hexdigest()}", f"ALLO {len(data)}")
        with wire.data() as connection:
            append = self.rng.random() < 0.4
            if here and not append:
                wire.ask(f"REST {here}")
            rest = data[here:]
            cut = len(rest) > 1 and self.rng.random() < 0.5
            if cut:
                rest = rest[: self.rng.randrange(len(rest))]
                self.tally.cuts += 1
            wire.send(f"{'APPE' if append else 'STOR'} {photo}.jpg")
            connection.sendall(rest)
            if cut:
                how = self.rng.choice(["FIN", "RST", "ABOR", "vanish"])
                if how == "vanish":
                    return "vanished"
                if how == "ABOR":
                    wire.send("ABOR")
                    return "aborted"
                if how == "RST":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reply = wire.reply()
        if reply.startswith("1"):
            reply = wire.reply()
        if not reply.startswith("226"):
            return "again" if reply else "closed"
        if cut:
            self.tally.too_early.append(photo)
        return "226"


def storm(make_house, draw_photo, *, seconds, restarts):
    seed = int(os.environ.get("SOAK_SEED", random.randrange(1 << 30)))
    print(f"SOAK_SEED={seed}")  # noqa: T201 - the seed of a failed run is wanted
    house = make_house(max_per_address=200)
    house.secrets = {f"camera-{number}": house.account(f"camera-{number}") for number in range(4)}
    photos = [draw_photo(160, 120, seed=number) for number in range(6)]
    tally, deadline = Tally(), time.monotonic() + seconds
    cameras = [Camera(house, f"camera-{number % 4}", seed + number, tally, photos) for number in range(12)]
    threads = [threading.Thread(target=camera.run, args=(deadline,)) for camera in cameras]
    for thread in threads:
        thread.start()
    for _ in range(restarts):
        time.sleep(seconds / (restarts + 1))
        house.server.stop()
        house.start()  # on another port, as somebody may have got the old one since
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    check(house, tally)


def check(house, tally):
    assert tally.handed_over
    assert tally.cuts
    assert not tally.too_early
    rows = house.rows()
    assert sorted(row.id for row in rows) == sorted(tally.handed_over)
    assert house.event_count() == len(rows)
    assert len(list(house.blobs.walk())) == len(rows)
    for photo, (camera, data) in tally.handed_over.items():
        assert house.blobs.read(camera, photo) == data


def test_a_short_storm(make_house, draw_photo):
    storm(make_house, draw_photo, seconds=3, restarts=1)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_long_storm(make_house, draw_photo):
    storm(make_house, draw_photo, seconds=90, restarts=8)
