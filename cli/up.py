"""`aperture up`, and `broker`, `bridge`, `api` for one part each."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from sqlalchemy import Connection

from aperture.settings import FtpTls, Settings
from aperture.store import accounts, cameras
from aperture.store.accounts import Role
from cli import logs, runfile
from cli.main import version
from cli.system import EVERYTHING, Part, System, fresh_token, running


async def up(options: argparse.Namespace, settings: Settings) -> int:
    """Run everything until SIGINT or SIGTERM."""
    del options
    logs.configure()
    with runfile.exclusive(settings.data_dir):
        async with running(settings, EVERYTHING) as system:
            welcome(system)
            write_run_file(system)
            await stop_signal()
    return 0


async def broker(options: argparse.Namespace, settings: Settings) -> int:
    """Run MQTT and FTP."""
    return await _part(options, settings, Part.BROKER)


async def bridge(options: argparse.Namespace, settings: Settings) -> int:
    """Run the bridge."""
    return await _part(options, settings, Part.BRIDGE)


async def api(options: argparse.Namespace, settings: Settings) -> int:
    """Run the API."""
    return await _part(options, settings, Part.API)


def write_run_file(system: System, **more: object) -> None:
    """Say in `run.json` that everything is ready."""
    runfile.write(system.settings.data_dir, {"pid": os.getpid(), "version": version(), **system.run_file(), **more})


def program() -> str:
    """Return how this command is typed here."""
    return "aperture" if shutil.which("aperture") else os.path.relpath(sys.argv[0])


def listening(system: System) -> list[str]:
    """Return where everything listens, a line each."""
    lines: list[str] = []
    if system.mqtt:
        settings = system.settings.mqtt
        plain = runfile.reachable(settings.plain_host)
        lines.append(f"MQTT     {plain}:{system.mqtt.port}  ({system.mqtt.kind})")
        if system.mqtt.tls_port is not None:
            lines.append(f"         {runfile.reachable(settings.host)}:{system.mqtt.tls_port}  (over TLS)")
    if system.ftp:
        tls = {FtpTls.OFF: "", FtpTls.ALLOW: "  (TLS offered)", FtpTls.REQUIRE: "  (over TLS alone)"}
        lines.append(f"FTP      {runfile.reachable(system.ftp.host)}:{system.ftp.port}{tls[system.settings.ftp.tls]}")
    if system.api_url:
        lines.append(f"HTTP     {system.api_url}")
    photos = system.blobs.root
    lines.append(f"Photos   {photos if photos.is_absolute() else Path.cwd() / photos}")
    return lines


def welcome(system: System) -> None:
    """Print where everything listens, an operator's token once, and what to do next."""
    print(f"Aperture Archive {version()}\n")
    print("\n".join(f"  {line}" for line in listening(system)))
    token = system.database.write(_first_token)
    if token:
        print(f"\n  An operator's token for the API, shown this once: {token}")
    for step in _next_steps(system):
        print(f"\n  {step}")
    print("\nReady. Ctrl-C ends it.", flush=True)


async def stop_signal() -> None:
    """Return at SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()  # the handlers stay: an impatient second Ctrl-C must not cut the ending short
    print("\nEnding: what is under way is finished first.", flush=True)


async def _part(options: argparse.Namespace, settings: Settings, part: Part) -> int:
    del options
    logs.configure()
    async with running(settings, frozenset({part})) as system:
        print("\n".join(listening(system)), flush=True)
        await stop_signal()
    return 0


def _first_token(connection: Connection) -> str | None:
    if any(token.role is Role.OPERATOR for token in accounts.tokens(connection)):
        return None
    return fresh_token(connection, "owner")


def _next_steps(system: System) -> list[str]:
    steps: list[str] = []
    if not system.database.read(cameras.every):
        steps.append(f"Next, add a camera:  {program()} camera add NAME")
    if system.settings.discord.webhook_url is None:
        steps.append(
            "Photos are kept but posted nowhere yet. In Discord: channel settings, Integrations, Webhooks, Copy URL;\n"
            "  then start this again with APERTURE_DISCORD__WEBHOOK_URL=URL, or with it in aperture.toml."
        )
    return steps
