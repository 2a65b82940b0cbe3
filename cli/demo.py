"""`aperture demo`: everything on loopback, with a virtual camera and, when no webhook is set, a Discord stand-in."""

import argparse
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from pydantic import SecretStr
from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.settings import Settings
from aperture.store import accounts
from aperture.store.accounts import Role
from aperture.tls.files import TlsFiles
from cli import logs, runfile
from cli.main import version
from cli.place import tls_links
from cli.system import EVERYTHING, System, broker_address, fresh_token, running
from cli.up import listening, program, stop_signal, write_run_file

log = structlog.get_logger(__name__)

CAMERA = "demo"
LOOPBACK = "127.0.0.1"


async def demo(options: argparse.Namespace, settings: Settings) -> int:
    """Run the demo until SIGINT or SIGTERM."""
    del options
    logs.configure()
    settings = _loopback(settings)
    with runfile.exclusive(settings.data_dir):
        async with _discord(settings) as (settings, discord), running(settings, EVERYTHING) as system:
            token = system.database.write(lambda connection: fresh_token(connection, "demo"))
            async with _camera(system):
                _welcome(system, token, discord)
                write_run_file(system, demo={"token": token, "camera": CAMERA, "discord": discord})
                await stop_signal()
    return 0


def _loopback(settings: Settings) -> Settings:
    """Return the settings with every listener on loopback, and another port where the usual one is taken."""
    changes: dict[str, Any] = {}
    if "data_dir" not in settings.model_fields_set:
        changes["data_dir"] = runfile.DEMO_DIR
    for name in ("mqtt", "ftp", "api"):
        section = getattr(settings, name)
        port = section.port if section.port == 0 or _is_free(section.port) else 0
        changes[name] = section.model_copy(update={"host": LOOPBACK, "port": port})
    return settings.model_copy(update=changes)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@asynccontextmanager
async def _discord(settings: Settings) -> AsyncGenerator[tuple[Settings, str | None]]:
    """Yield settings that post somewhere: to the owner's webhook, or to a stand-in with its page's address."""
    if settings.discord.webhook_url is not None:
        yield settings, None
        return
    from simulator.discord.stand_in import DiscordStandIn  # noqa: PLC0415 - only a demo without a webhook needs it

    async with DiscordStandIn() as stand_in:
        discord = settings.discord.model_copy(
            update={"webhook_url": SecretStr(stand_in.webhook_url()), "api_base": stand_in.api_base}
        )
        yield settings.model_copy(update={"discord": discord}), stand_in.url


@asynccontextmanager
async def _camera(system: System) -> AsyncGenerator[None]:
    """Run the virtual camera; without MicroPython on this machine say so and go on."""
    from simulator.camera import VirtualCamera  # noqa: PLC0415
    from simulator.console import Console  # noqa: PLC0415
    from simulator.control import serve  # noqa: PLC0415
    from simulator.errors import SimulatorError  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        secret, update_key = system.database.write(_camera_secrets)
        if system.refresh_accounts is not None:
            await system.refresh_accounts()
        where = broker_address(system)
        tls = tls_links(system.settings)
        folder = system.settings.data_dir / "simulated" / CAMERA
        try:
            camera = await stack.enter_async_context(
                VirtualCamera(
                    name=CAMERA,
                    token=secret,
                    update_key=update_key,
                    host=where.host,
                    mqtt_port=where.tls_port or where.port,
                    ftp_port=system.ftp.port if system.ftp else 0,
                    folder=folder,
                    root=system.settings.mqtt.root,
                    oled_png=folder / "oled.png",
                    ca=TlsFiles.of(system.settings.data_dir).ca_der if tls else None,
                    tls=tls,
                )
            )
            await stack.enter_async_context(serve(Console(camera), folder))
        except SimulatorError as error:
            log.warning("the demo goes on without a virtual camera", reason=str(error))
        yield


def _camera_secrets(connection: Connection) -> tuple[str, str | None]:
    known = accounts.get(connection, CAMERA)
    if known is not None and known.revoked_at_ms is None:
        token = accounts.rotate(connection, name=CAMERA, now_ms=now_ms())
    else:
        token = accounts.add(connection, name=CAMERA, role=Role.CAMERA, now_ms=now_ms())
    return token, accounts.update_key(connection, CAMERA)


def _welcome(system: System, token: str, discord: str | None) -> None:
    print(f"Aperture Archive {version()}: the demo\n")
    print("\n".join(f"  {line}" for line in listening(system)))
    print(f"  Discord  {discord + '  (a stand-in: open it)' if discord else 'your webhook'}")
    display = system.settings.data_dir / "simulated" / CAMERA / "oled.png"
    print(f"  Camera   {CAMERA}, a virtual one; its display: {display}")
    print(f"  Token    {token}")
    print("\n  Press the shutter:\n")
    print(
        f"  curl -X POST -H 'Authorization: Bearer {token}' '{system.api_url}/api/v1/cameras/{CAMERA}/shutter?wait=10'"
    )
    print(f"\n  Drive the camera by hand, in another terminal (docs/simulate.md):  {program()} simulate {CAMERA}")
    print("\nReady. Ctrl-C ends it.", flush=True)
