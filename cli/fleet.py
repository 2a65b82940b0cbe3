"""`aperture simulate --fleet N`: many virtual cameras, things that go wrong, and a verdict on the promise."""

import argparse
import asyncio
import contextlib
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.messages import Presence
from aperture.settings import Settings
from aperture.store import accounts, cameras
from aperture.store.accounts import Role
from aperture.store.blobs import LocalBlobs
from aperture.store.errors import NotFoundError
from cli import logs, output, runfile
from cli.errors import CommandLineError
from cli.place import Place

if TYPE_CHECKING:
    from simulator.fleet import Fleet
    from simulator.verdict import Verdict

_TERMINAL_EVERY_S: Final = 0.5
_PIPE_EVERY_S: Final = 10.0
_SHOWN: Final = 10


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run a fleet; 0 when no photo was lost, doubled or broken, else 1."""
    from simulator.errors import SimulatorError  # noqa: PLC0415 - MicroPython is an extra

    logs.configure(level=logging.ERROR)
    with Place(settings) as place:
        _check(options, place)
        try:
            verdict, presses = await _run(options, place)
        except* SimulatorError as group:
            raise CommandLineError(str(group.exceptions[0])) from None
    _tell(verdict, presses, json=options.json)
    return 0 if verdict.kept_the_promise else 1


def _check(options: argparse.Namespace, place: Place) -> None:
    if place.running is None:
        raise CommandLineError("nothing runs on this data folder: start `aperture up` or `aperture demo` first")
    if place.settings.discord.webhook_url and "demo" not in place.running and not options.post:
        raise CommandLineError(
            "the fleet's photos would be posted to your Discord: run it on a demo, or say --post if you mean it"
        )


@dataclass(frozen=True, slots=True)
class _Presses:
    """How often shutters were pressed, and why some of that gave no photo."""

    count: int
    untaken: Counter[str]


async def _run(options: argparse.Namespace, place: Place) -> "tuple[Verdict, _Presses]":
    from simulator.faults import PROFILES  # noqa: PLC0415
    from simulator.fleet import Fleet, Server  # noqa: PLC0415
    from simulator.verdict import ids, judge  # noqa: PLC0415

    folder = place.settings.data_dir / "simulated" / "fleet"
    names = [f"fleet-{number:03}" for number in range(1, options.fleet + 1)]
    server = Server(
        host=runfile.local(place.settings.mqtt.host),
        mqtt_port=place.mqtt()["tls_port" if "mqtt" in place.tls else "port"],
        ftp_port=place.ftp()["port"],
        root=place.settings.mqtt.root,
        ca=place.ca_der,
        tls=place.tls,
    )
    with _accounts(place, names, keep=options.keep) as members, _fresh(folder, keep=options.keep):
        before = ids(place.database, names)
        kept_before = _count(place.database.read(cameras.photo_counts), names)
        async with (
            Fleet(
                members=members,
                server=server,
                folder=folder,
                profile=PROFILES[options.faults],
                seed=options.seed,
                frames=options.frames,
            ) as fleet,
            _progress(lambda: _line(fleet, place, names, kept_before), quiet=options.json),
        ):
            await fleet.start()
            await fleet.live(photos=options.photos, duration_s=options.duration)
            await fleet.drain()
        verdict = await asyncio.to_thread(
            judge,
            database=place.database,
            blobs=LocalBlobs(root=place.settings.photos_dir),
            taken=fleet.taken,
            frames={camera.name: camera.taken for camera in fleet.cameras},
            before=before,
            on_cards=fleet.on_cards(),
        )
        return verdict, _Presses(fleet.presses, fleet.untaken)


@contextmanager
def _accounts(place: Place, names: list[str], *, keep: bool) -> Generator[dict[str, str]]:
    """Yield a token for each name; the accounts are void afterwards."""

    def enlist(connection: Connection) -> dict[str, str]:
        active = {account.name for account in accounts.active(connection)}
        return {
            name: accounts.rotate(connection, name=name, now_ms=now_ms())
            if name in active
            else accounts.add(connection, name=name, role=Role.CAMERA, now_ms=now_ms())
            for name in names
        }

    def dismiss(connection: Connection) -> None:
        for name in names:
            with contextlib.suppress(NotFoundError):  # its owner was faster
                accounts.revoke(connection, name=name, now_ms=now_ms())

    members = place.database.write(enlist)
    try:
        yield members
    finally:
        if not keep:
            place.database.write(dismiss)


@contextmanager
def _fresh(folder: Any, *, keep: bool) -> Generator[None]:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _progress(line: Callable[[], Awaitable[str]], *, quiet: bool) -> AsyncGenerator[None]:
    showing = asyncio.create_task(_show(line)) if not quiet else None
    try:
        yield
    finally:
        if showing is not None:
            showing.cancel()
            await asyncio.wait({showing})
            print(("\r\x1b[K" if sys.stdout.isatty() else "") + await line(), flush=True)


async def _show(line: Callable[[], Awaitable[str]]) -> None:
    terminal = sys.stdout.isatty()
    while True:
        now = await line()
        print(
            f"\r\x1b[K{now[: shutil.get_terminal_size().columns - 1]}" if terminal else now,
            end="" if terminal else "\n",
            flush=True,
        )
        await asyncio.sleep(_TERMINAL_EVERY_S if terminal else _PIPE_EVERY_S)


def _count(photos: Mapping[str, int], names: list[str]) -> int:
    return sum(photos.get(name, 0) for name in names)


async def _line(fleet: "Fleet", place: Place, names: list[str], kept_before: int) -> str:
    wanted = set(names)

    def count(connection: Connection) -> tuple[int, int]:
        online = sum(one.name in wanted and one.presence is Presence.ONLINE for one in cameras.every(connection))
        return online, _count(cameras.photo_counts(connection), names) - kept_before

    online, stored = await place.database.aread(count)
    taken = sum(map(len, fleet.taken.values()))
    faults = ", ".join(f"{count}x {what}" for what, count in sorted(fleet.faults.items()) if count) or "none"
    return (
        f"{time.strftime('%H:%M:%S')}  online {online}/{len(names)}  {fleet.presses} presses, {taken} photos, "
        f"{stored} in the archive, {fleet.waiting} on cards until acknowledged  faults: {faults}"
    )


def _tell(verdict: "Verdict", presses: _Presses, *, json: bool) -> None:
    wrong = {"lost": verdict.lost, "doubled": verdict.doubled, "broken": verdict.broken}
    if json:
        counts = {"frames": verdict.frames, "presses": presses.count, "taken": verdict.taken, "stored": verdict.stored}
        output.emit(counts | wrong | {"waiting": verdict.waiting, "untaken": _untaken(verdict, presses)})
        return
    print(
        f"\n{presses.count} presses, {verdict.taken} photos taken, {verdict.stored} in the archive: "
        + ", ".join(f"{len(photos)} {what}" for what, photos in wrong.items())
    )
    for why, count in _untaken(verdict, presses).items():
        print(f"  {count} {'press' if count == 1 else 'presses'} gave no photo: {why}")
    if verdict.waiting:
        print(f"  {len(verdict.waiting)} wait on their cards: the server did not take them (--keep keeps the cards)")
    for what, photos in wrong.items():
        for photo in photos[:_SHOWN]:
            print(f"  {what}: {photo}")


def _untaken(verdict: "Verdict", presses: _Presses) -> dict[str, int]:
    """Return why presses gave no photo; a photo may be on the card though its camera could not say so any more."""
    gap, told = presses.count - verdict.taken, dict[str, int]()
    for why, count in presses.untaken.most_common():
        if gap > 0 and count:
            told[why] = min(gap, count)
            gap -= told[why]
    return told | ({"nobody knows why, its camera said nothing of it": gap} if gap > 0 else {})
