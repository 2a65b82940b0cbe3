"""Many virtual cameras at once, pressed at random while things go wrong. `verdict` tells what came of it."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

import structlog

from simulator.camera import BITTEN, WITHOUT_POWER, Power, VirtualCamera
from simulator.faults import Profile
from simulator.link import LOOPBACK, How, Link

log = structlog.get_logger(__name__)

_STARTS_AT_ONCE: Final = 4
_ONLINE_S: Final = 20.0
_AWAY_S: Final = (0.5, 4.0)
_NO_PROGRESS_S: Final = 120.0
_QUIET_S: Final = 3.0  # the last press may be no photo yet
_LOOK_EVERY_S: Final = 0.2
_EVERY_FRAME: Final = 1_000_000

_CUT_EVERY_S: Final = 5.0
_NO_PHOTO: Final = "E no photo"
_GONE: Final = {
    WITHOUT_POWER: "the power was cut before the frame was on the card",
    BITTEN: "the watchdog reset the camera before the frame was on the card",
}

Away = contextlib.AbstractAsyncContextManager[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the cameras are to find their server; `ca` and `tls` as of `VirtualCamera`."""

    host: str
    mqtt_port: int
    ftp_port: int
    root: str = "aperture"
    ca: Path | None = None
    tls: frozenset[str] = frozenset()


class Fleet:
    """Cameras by name and token, an async context manager: they run while it is open.

    `taken` has the ids of the photos that each camera said it has on its card, `untaken` counts why other presses gave
    none, `faults` what was done to them.
    """

    def __init__(
        self,
        *,
        members: Mapping[str, str],
        server: Server,
        folder: Path,
        profile: Profile,
        seed: int = 0,
        frames: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        self._members, self._server, self._folder = members, server, folder
        self._profile, self._seed = profile, seed
        self._frames, self._cache = frames, cache
        self._open = AsyncExitStack()
        self._link: Link | None = None
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self.cameras: list[VirtualCamera] = []
        self.presses = 0
        self.taken: dict[str, set[str]] = {name: set() for name in members}
        self.untaken: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()  # presses of which a camera has not said what became of them
        self._made: Counter[str] = Counter()

    @property
    def faults(self) -> Counter[str]:
        """How often what went wrong, so far."""
        cuts = {"connections cut": self._link.cuts.total()} if self._link else {}
        return self._made + Counter(cuts)

    @property
    def waiting(self) -> int:
        """How many photos lie in cameras."""
        return sum(camera.waiting for camera in self.cameras)

    def on_cards(self) -> set[str]:
        """Return the ids of these photos."""
        return {photo for camera in self.cameras for photo in camera.waiting_ids()}

    async def __aenter__(self) -> Self:
        """Make the network between them and the server; `start` gives them power."""
        await self._open.__aenter__()
        if self._profile.needs_link:
            self._link = await self._open.enter_async_context(
                Link(
                    ports={"mqtt": self._server.mqtt_port, "ftp": self._server.ftp_port},
                    host=self._server.host,
                    quality=self._profile.quality,
                    seed=self._seed,
                )
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Switch all of them off."""
        await asyncio.gather(*(camera.stop() for camera in self.cameras))
        await self._open.aclose()

    async def start(self) -> None:
        """Give all of them power, a few at a time, and return when each has been online or has had its time."""
        async with asyncio.TaskGroup() as starting:
            for name, token in self._members.items():
                starting.create_task(self._start(name, token), name=f"start {name}")

    async def _start(self, name: str, token: str) -> None:
        here = self._link
        camera = VirtualCamera(
            name=name,
            token=token,
            host=LOOPBACK if here else self._server.host,
            mqtt_port=here.ports["mqtt"] if here else self._server.mqtt_port,
            ftp_port=here.ports["ftp"] if here else self._server.ftp_port,
            folder=self._folder / name,
            root=self._server.root,
            frames=self._frames,
            cache=self._cache,
            keep=_EVERY_FRAME,
            ca=self._server.ca,
            tls=self._server.tls,
        )
        online = asyncio.Event()
        camera.listen(lambda line: online.set() if line.startswith("mqtt up") else None)
        camera.listen(lambda line: self._note(name, line))
        async with self._starts:
            self.cameras.append(camera)
            await camera.__aenter__()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(online.wait(), _ONLINE_S)

    def _note(self, name: str, line: str) -> None:
        if line.startswith("photo taken"):
            facts = dict(fact.split("=", 1) for fact in line.split() if "=" in fact)
            self.taken[name].add(facts["photo"])
            self._pending[name] -= self._pending[name] > 0
        elif line.startswith(_NO_PHOTO):
            self._pending[name] -= self._pending[name] > 0
            self.untaken[f"the camera said {line[2:]!r}"] += 1
        elif line in _GONE:
            self.untaken[_GONE[line]] += self._pending.pop(name, 0)

    async def live(self, *, photos: int, duration_s: float) -> None:
        """Press each camera so many times within that time, while faults happen; then put everything right again."""
        if self._link:
            self._link.plan = self._profile.plan(self._seed)
        async with asyncio.TaskGroup() as life:
            ended = asyncio.Event()
            life.create_task(self._trouble(ended), name="faults")
            async with asyncio.TaskGroup() as presses:
                for camera in self.cameras:
                    presses.create_task(self._press(camera, photos, duration_s), name=f"owner of {camera.name}")
            ended.set()
        if self._link:
            self._link.plan = None

    async def drain(self) -> None:
        """Wait until no photo waits in a camera any more, or for as long as that gets on."""
        loop = asyncio.get_running_loop()
        last, changed_at = None, loop.time()
        while loop.time() - changed_at < (_NO_PROGRESS_S if self.waiting else _QUIET_S):
            await asyncio.sleep(_LOOK_EVERY_S)
            now = self.waiting, sum(map(len, self.taken.values()))
            if now != last:
                last, changed_at = now, loop.time()

    def _dice(self, what: str) -> random.Random:
        return random.Random(f"{self._seed} {what}")  # noqa: S311 - to be had again

    async def _press(self, camera: VirtualCamera, photos: int, duration_s: float) -> None:
        dice = self._dice(f"presses of {camera.name}")
        loop = asyncio.get_running_loop()
        started = loop.time()
        for at_s in sorted(dice.uniform(0, duration_s) for _ in range(photos)):
            await asyncio.sleep(started + at_s - loop.time())
            while camera.power is Power.OFF:  # noqa: ASYNC110 - its owner looks, and presses when it is on again
                await asyncio.sleep(_LOOK_EVERY_S)
            await camera.press()
            self.presses += 1
            self._pending[camera.name] += 1

    async def _trouble(self, ended: asyncio.Event) -> None:
        profile, link = self._profile, self._link
        async with asyncio.TaskGroup() as faults:

            def happens(what: str, every_s: float | None, who: str, away: Callable[[], Away]) -> None:
                if every_s:
                    faults.create_task(self._again(what, every_s, who, away, ended), name=f"{what} {who}")

            for camera in self.cameras:
                happens("wifi lost", profile.wifi_every_s, camera.name, partial(_without_wifi, camera))
                happens("power cut", profile.power_every_s, camera.name, partial(_without_power, camera))
            if link:
                happens("server away", profile.server_every_s, "", partial(_without_server, link))
                if self._server.tls:  # where FTP's data goes is not to be seen, so that the plan does not meet it
                    every_s = _CUT_EVERY_S if profile.cut_share else None
                    happens("spell of cuts", every_s, "", partial(_with_cuts, link, profile.cut_share))

    async def _again(self, what: str, every_s: float, who: str, away: Callable[[], Away], ended: asyncio.Event) -> None:
        dice = self._dice(f"{what} {who}")
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), dice.expovariate(1 / every_s))
                return
            self._made[what] += 1
            async with away():
                await asyncio.sleep(dice.uniform(*_AWAY_S))


@asynccontextmanager
async def _without_wifi(camera: VirtualCamera) -> AsyncGenerator[None]:
    await camera.say("wifi down")
    yield
    await camera.say("wifi up")


@asynccontextmanager
async def _without_power(camera: VirtualCamera) -> AsyncGenerator[None]:
    await camera.kill()
    yield
    await camera.power_on()


@asynccontextmanager
async def _with_cuts(link: Link, share: float) -> AsyncGenerator[None]:
    await link.cut_some(share, link.dice.choice(list(How)))
    yield


@asynccontextmanager
async def _without_server(link: Link) -> AsyncGenerator[None]:
    await link.go_down()
    yield
    link.come_back()
