"""`aperture simulate NAME`: a virtual camera, the real firmware on this machine, driven by hand; `fleet` has many."""

import argparse
import asyncio
import logging
import os
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.ids import check_name
from aperture.settings import Settings
from aperture.store import accounts
from aperture.store.accounts import Account, Role
from aperture.store.credentials import verify_mosquitto
from aperture.store.errors import NotFoundError
from aperture.tls.files import TlsFiles
from cli import cable, fleet, logs, runfile
from cli.console import converse
from cli.errors import CommandLineError
from cli.place import Place
from cli.up import stop_signal

if TYPE_CHECKING:
    from simulator.camera import VirtualCamera


async def simulate(options: argparse.Namespace, settings: Settings) -> int:
    """Drive a virtual camera: the one that runs here already, or one of our own until Ctrl-C."""
    from simulator.control import attached  # noqa: PLC0415 - MicroPython is an extra
    from simulator.errors import SimulatorError  # noqa: PLC0415

    if options.fleet is not None:
        return await fleet.run(options, _where_something_runs(settings))
    logs.configure(level=logging.ERROR)  # what the camera says is shown by the console
    if options.cable is not None:
        return await cable.run(options.cable, _where_something_runs(settings))
    check_name(options.name)
    try:
        for data_dir in _places(settings):
            async with attached(options.name, folder_of(data_dir, options.name)) as there:
                if there is not None:
                    print(
                        f"{options.name} runs already, on {data_dir}: this is its console. `help`, `quit`.", flush=True
                    )
                    await _first(converse(there, until_end=True), there.gone.wait())
                    if there.gone.is_set():
                        print(f"What {options.name} ran in has ended.")
                    return 0
        await _own(options, settings)
    except SimulatorError as error:
        raise CommandLineError(str(error)) from error
    return 0


def folder_of(data_dir: Path, name: str) -> Path:
    """Return where a virtual camera keeps its files."""
    return data_dir / "simulated" / name


def _places(settings: Settings) -> list[Path]:
    """Return the data folders on which the camera may run: a demo's too, unless a folder was given."""
    return [settings.data_dir] if "data_dir" in settings.model_fields_set else [settings.data_dir, runfile.DEMO_DIR]


def _where_something_runs(settings: Settings) -> Settings:
    running = [data_dir for data_dir in _places(settings) if runfile.read(data_dir)]
    return settings.model_copy(update={"data_dir": running[0]}) if running else settings


async def _own(options: argparse.Namespace, settings: Settings) -> None:
    from simulator.console import Console  # noqa: PLC0415
    from simulator.control import serve  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(_camera(options, settings))
        console = Console(camera)
        await stack.enter_async_context(serve(console, camera.folder))
        print(
            f"{options.name} is starting; what is typed is done once it runs. Enter presses its shutter, `help` lists"
        )
        print("what else can be done, Ctrl-C ends it.", flush=True)
        await _first(converse(console, until_end=False), stop_signal())


def _camera(options: argparse.Namespace, settings: Settings) -> "VirtualCamera":
    from simulator.camera import VirtualCamera  # noqa: PLC0415

    with Place(settings) as place:
        mqtt, ftp = place.mqtt(), place.ftp()
        elsewhere = options.host or options.mqtt_port or options.ftp_port
        tls = frozenset[str]() if elsewhere else place.tls
        token = options.token or os.environ.get("APERTURE_CAMERA_TOKEN")
        if token and not elsewhere:
            _check_token(place, options.name, token)
        token = token or _new_token(place, options.name)
        known_key = place.database.read(lambda connection: accounts.update_key(connection, options.name))
    return VirtualCamera(
        name=options.name,
        token=token,
        update_key=options.update_key or known_key,
        host=options.host or runfile.local(settings.mqtt.host),
        mqtt_port=options.mqtt_port or mqtt["tls_port" if "mqtt" in tls else "port"],
        ftp_port=options.ftp_port or ftp["port"],
        folder=folder_of(settings.data_dir, options.name),
        root=settings.mqtt.root,
        frames=options.frames,
        oled_png=options.oled,
        ca=TlsFiles.of(settings.data_dir).ca_der if tls else None,
        tls=tls,
    )


def _account(connection: Connection, name: str) -> Account:
    known = accounts.get(connection, name)
    if known is None or known.revoked_at_ms is not None or known.role is not Role.CAMERA:
        raise NotFoundError(f"there is no camera {name!r}: aperture camera add {name}")
    if known.ftp_only:
        raise NotFoundError(f"{name!r} only uploads by FTP: a virtual camera needs an account with MQTT")
    return known


def _check_token(place: Place, name: str, token: str) -> None:
    known = place.database.read(lambda connection: _account(connection, name))
    if not verify_mosquitto(token, known.mqtt_hash):
        raise CommandLineError(
            f"that is not the token of {name!r}, or not any more: without --token (or APERTURE_CAMERA_TOKEN) it gets "
            f"a new one, and aperture camera rotate {name} shows you a new one"
        )


def _new_token(place: Place, name: str) -> str:
    def work(connection: Connection) -> str:
        _account(connection, name)
        return accounts.rotate(connection, name=name, now_ms=now_ms())

    token = place.database.write(work)
    print(
        f"{name} has a new token and update key for this. The old ones are void: a board that has them must be flashed "
        "again (--token TOKEN keeps them)",
        flush=True,
    )
    return token


async def _first(*works: Awaitable[object]) -> None:
    """Wait for the first of these to end, and end the others; what it raises is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
