"""`aperture simulate NAME`: a virtual camera, the real firmware on this machine."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.settings import Settings
from aperture.store import accounts
from aperture.store.accounts import Role
from aperture.store.errors import NotFoundError
from cli import logs, runfile
from cli.errors import CommandLineError
from cli.place import Place
from cli.up import stop_signal


async def simulate(options: argparse.Namespace, settings: Settings) -> int:
    """Run a virtual camera until Ctrl-C; Enter presses its shutter."""
    from simulator.camera import VirtualCamera  # noqa: PLC0415 - MicroPython is an extra
    from simulator.errors import SimulatorError  # noqa: PLC0415

    logs.configure()
    with Place(settings) as place:
        mqtt, ftp = place.mqtt(), place.ftp()
        token = options.token or os.environ.get("APERTURE_CAMERA_TOKEN") or _new_token(place, options.name)
    host = options.host or runfile.local(settings.mqtt.host)
    try:
        async with VirtualCamera(
            name=options.name,
            token=token,
            host=host,
            mqtt_port=options.mqtt_port or mqtt["port"],
            ftp_port=options.ftp_port or ftp["port"],
            folder=settings.data_dir / "simulated" / options.name,
            root=settings.mqtt.root,
            frames=options.frames,
            oled_png=options.oled,
        ) as camera:
            print(f"{options.name} runs. Enter presses its shutter, Ctrl-C ends it.", flush=True)
            await _until_stopped(camera.press)
    except SimulatorError as error:
        raise CommandLineError(str(error)) from error
    return 0


def _new_token(place: Place, name: str) -> str:
    def work(connection: Connection) -> str:
        known = accounts.get(connection, name)
        if known is None or known.revoked_at_ms is not None or known.role is not Role.CAMERA:
            raise NotFoundError(f"there is no camera {name!r}: aperture camera add {name}")
        if known.ftp_only:
            raise NotFoundError(f"{name!r} only uploads by FTP: a virtual camera needs an account with MQTT")
        return accounts.rotate(connection, name=name, now_ms=now_ms())

    token = place.database.write(work)
    print(f"{name} has a new token for this; its old one is void (--token TOKEN keeps it)", flush=True)
    return token


async def _until_stopped(press: Callable[[], Awaitable[object]]) -> None:
    loop = asyncio.get_running_loop()
    presses: asyncio.Queue[None] = asyncio.Queue()

    def typed() -> None:
        if sys.stdin.readline():
            presses.put_nowait(None)
        else:  # end of input: nobody can press any more
            loop.remove_reader(sys.stdin)

    with suppress(OSError, ValueError):  # a file, /dev/null, or nothing at all: nobody can press
        loop.add_reader(sys.stdin, typed)
    stopped = asyncio.create_task(stop_signal())
    while not stopped.done():
        pressed = asyncio.create_task(presses.get())
        await asyncio.wait({stopped, pressed}, return_when=asyncio.FIRST_COMPLETED)
        if pressed.done():
            await press()
        else:
            pressed.cancel()
