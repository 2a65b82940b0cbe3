"""The promise, under everything at once: seeded faults on both sides of a server that is killed again and again.

Whatever was pressed is in the archive once, byte for byte, and in Discord; more than once in Discord only where the
server itself says that it could not know. Photos are announced over MQTT before their bytes, after them, twice, or
never, also while the broker is killed; what was acknowledged is in the archive. `make soak` runs the long ones, SOAK_SEED=N one of them again.
"""

import asyncio
import ftplib
import hashlib
import json
import os
import random
import socket
import sqlite3
import struct
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiomqtt
import psutil
import pytest

from aperture.contract.ids import new_photo_id
from simulator.discord.faults import Fault

pytestmark = pytest.mark.filterwarnings(  # paho leaves the socket of a connect that a killed broker never answers
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
BROKEN = (ftplib.Error, OSError, EOFError)
UNHEARD = (aiomqtt.MqttError, OSError, TimeoutError)
BROKERS = {"mosquitto", "nats-server"}
ANNOUNCED = {"before": 4, "after": 3, "twice": 2, "never": 2}
ACK_S = 2.0


class Camera:
    """A camera as the contract wants it: a photo leaves its queue only with 226, or when SIZE says it is all there.

    A manifest is said again until it is acknowledged; `plans` is when each is said at all.
    """

    def __init__(self, account: dict, up, dice: random.Random) -> None:
        self.account, self.up, self.dice = account, up, dice
        self.taken: dict[str, bytes] = {}
        self.queue: list[str] = []
        self.plans: dict[str, str] = {}
        self.unheard: list[str] = []

    def press(self, data: bytes) -> None:
        photo = new_photo_id()
        self.taken[photo] = data
        self.queue.append(photo)
        self.plans[photo] = self.dice.choices(list(ANNOUNCED), list(ANNOUNCED.values()))[0]
        if self.plans[photo] != "never":
            self.unheard.append(photo)

    def announce(self) -> None:
        """Say the oldest manifest that may be said now; it is said again another time where no answer comes."""
        due = [photo for photo in self.unheard if self.plans[photo] != "after" or photo not in self.queue]
        if not due:
            return
        with suppress(*UNHEARD):
            for _ in range(2 if self.plans[due[0]] == "twice" else 1):
                asyncio.run(self._say(due[0]))
            self.unheard.remove(due[0])

    async def _say(self, photo: str) -> None:
        data = self.taken[photo]
        manifest = {"photo": photo, "seq": list(self.taken).index(photo), "trigger": "button", "bytes": len(data)}
        manifest |= {"sha256": hashlib.sha256(data).hexdigest(), "stage_ms": {"captured": 120}}
        name, port = self.account["camera"], self.up.run["mqtt"]["port"]
        async with (
            asyncio.timeout(ACK_S),
            aiomqtt.Client(
                "127.0.0.1", port, username=name, password=self.account["token"], identifier=name, timeout=ACK_S
            ) as client,
        ):
            await client.subscribe(f"aperture/{name}/ack", qos=1)
            await client.publish(f"aperture/{name}/shutter", json.dumps(manifest), qos=1)
            async for message in client.messages:
                if json.loads(message.payload).get("photo") == photo:
                    return

    def send(self, *, cut: bool = False) -> None:
        """Hand over the oldest; with `cut` the link breaks somewhere on the way."""
        where, hard = self.dice.random(), self.dice.random() < 0.5  # always two, so that a seed's steps stay the same
        if not self.queue:
            return
        with suppress(*BROKEN):
            ftp = ftplib.FTP()
            ftp.connect("127.0.0.1", self.up.run["ftp"]["port"], timeout=10)
            try:
                ftp.login(self.account["camera"], self.account["token"])
                self._hand_over(ftp, self.queue[0], cut=where if cut else None, hard=hard)
            finally:
                ftp.close()

    def _hand_over(self, ftp: ftplib.FTP, photo: str, *, cut: float | None, hard: bool) -> None:
        data = self.taken[photo]
        ftp.voidcmd("TYPE I")
        there = self._size(ftp, photo)
        if there == len(data):
            self.queue.remove(photo)
            return
        ftp.sendcmd(f"SITE SHA256 {hashlib.sha256(data).hexdigest()}")
        ftp.sendcmd(f"ALLO {len(data)}")
        link = ftp.transfercmd(f"STOR {photo}.jpg", rest=there or None)
        end = len(data) if cut is None else there + int(cut * (len(data) - there))
        link.sendall(data[there:end])
        if cut is not None and hard:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
        link.close()
        answer = ftp.voidresp()
        assert cut is None, f"a cut upload was answered {answer}"
        self.queue.remove(photo)

    @staticmethod
    def _size(ftp: ftplib.FTP, photo: str) -> int:
        try:
            return ftp.size(f"{photo}.jpg") or 0
        except ftplib.error_perm:
            return 0


def misbehave(discord, dice: random.Random) -> None:
    match dice.randrange(7):
        case 0:
            discord.go_down()
        case 1:
            discord.come_back()
        case 5:
            discord.misbehave(Fault(kind="fail_before", times=1))
        case 6:
            discord.misbehave(Fault(kind="fail_before", method="PATCH", times=1))
        case 2:
            discord.misbehave(Fault(kind="fail_after", times=1))
        case 3:
            discord.misbehave(Fault(kind="lose_reply", times=1))
        case _:
            discord.misbehave(Fault(kind="rate_limit", times=1, retry_after_ms=200))


def kill_broker(up) -> None:
    """Cut it down; the server starts another on the same port."""
    with suppress(psutil.NoSuchProcess):
        for child in up.children():
            if child.name() in BROKERS:
                child.kill()


def run_faults(*, up, discord, jpeg, until, seed: int, rounds: int) -> None:
    dice = random.Random(seed)
    up.start()
    camera = Camera(up.cli("camera", "add", "front"), up, dice)
    up.ftp(camera.account).close()
    for _ in range(rounds):
        camera.press(jpeg())
        if dice.random() < 0.7:
            camera.announce()
        match dice.choices(["send", "cut", "kill", "kill while sending", "broker", "discord"], [8, 5, 1, 1, 1, 3])[0]:
            case "send":
                camera.send()
            case "cut":
                camera.send(cut=True)
            case "kill":
                up.kill()
                up.start()
            case "kill while sending":
                sender, delay_s = threading.Thread(target=camera.send), dice.random() * 0.02
                sender.start()
                sender.join(delay_s)
                up.kill()
                sender.join()
                up.start()
            case "broker":
                kill_broker(up)
            case _:
                misbehave(discord, dice)
    discord.come_back()
    discord.heal()
    drain(camera, up, until)
    check(camera, up, discord, until, seed)


def drain(camera: Camera, up, until) -> None:
    def empty() -> bool:
        camera.send()
        camera.announce()
        return not camera.queue and not camera.unheard

    until(empty, "the camera hands over and announces what is left", 60)


def check(camera: Camera, up, discord, until, seed: int) -> None:
    names = {f"{photo}.jpg": photo for photo in camera.taken}

    def posts() -> Counter:
        return Counter(names[file.filename] for message in discord.messages for file in message.attachments)

    until(lambda: set(posts()) == set(camera.taken), f"seed {seed}: all are in Discord", 90)
    assert up.stop() == 0
    for photo, data in camera.taken.items():
        assert (up.data_dir / "photos/front" / f"{photo}.jpg").read_bytes() == data
    for message in discord.messages:
        for file in message.attachments:
            assert file.data == camera.taken[names[file.filename]], f"seed {seed}: shown broken"
    stored, uncertain, told = rows(up.data_dir / "aperture.db")
    assert stored == dict.fromkeys(camera.taken, 1), f"seed {seed}: each is stored once"
    announced = {photo for photo, plan in camera.plans.items() if plan != "never"}
    assert told == announced, f"seed {seed}: what was acknowledged is kept, and nothing else"
    for photo, count in posts().items():
        assert count <= 1 + uncertain[photo], f"seed {seed}: posted again though the first was known to be there"


def rows(database: Path) -> tuple[dict[str, int], dict[str, int], set[str]]:
    with sqlite3.connect(database) as connection:
        stored = dict(
            connection.execute("SELECT photo, count(*) FROM event WHERE kind = 'photo.stored' GROUP BY photo")
        )
        uncertain = dict(connection.execute("SELECT photo, uncertain FROM delivery"))
        told = {row[0] for row in connection.execute("SELECT id FROM photo WHERE manifest IS NOT NULL")}
    connection.close()
    return stored, uncertain, told


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [25, 39])  # each kills the server twice, its broker, and troubles Discord
def test_a_short_run_with_faults(aperture, webhook, discord, jpeg, until, seed):
    run_faults(up=aperture("up", **webhook), discord=discord, jpeg=jpeg, until=until, seed=seed, rounds=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [int(os.environ["SOAK_SEED"])] if "SOAK_SEED" in os.environ else range(100, 104))
def test_a_long_run_with_faults(aperture, webhook, discord, jpeg, until, seed):
    run_faults(up=aperture("up", **webhook), discord=discord, jpeg=jpeg, until=until, seed=seed, rounds=400)
