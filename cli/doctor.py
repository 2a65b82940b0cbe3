"""`aperture doctor`: checks what it can reach, and says what to do about what it can't."""

import argparse
import asyncio
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

import aiohttp
import aiomqtt
from sqlalchemy import Connection, select

from aperture.clock import now_ms
from aperture.settings import BrokerKind, FtpSettings, MqttSettings, Settings
from aperture.store import cameras, schema, service_secret
from aperture.store.database import Database
from aperture.store.errors import StoreError
from cli import output, runfile, tls_check, waiting
from cli.finding import Finding, Verdict
from cli.place import Place

_DEADLINE_S = 5.0
_SCARCE_BYTES = 500 * 1024 * 1024
_MOSQUITTO_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


async def doctor(options: argparse.Namespace, settings: Settings) -> int:
    """Check everything; 1 when something is wrong."""
    findings = [finding async for finding in _findings(settings)]
    if options.json:
        output.emit([asdict(finding) for finding in findings])
    else:
        marks = {Verdict.OK: "✓", Verdict.HINT: "·", Verdict.WRONG: "✗"}
        for finding in findings:
            print(f"{marks[finding.verdict]} {finding.check}: {finding.detail}")
            if finding.todo:
                print(f"    → {finding.todo}")
    return int(any(finding.verdict is Verdict.WRONG for finding in findings))


async def _findings(settings: Settings) -> AsyncGenerator[Finding]:
    yield _data_folder(settings)
    yield _broker_program(settings)
    try:
        place = Place(settings)
    except StoreError as error:
        yield Finding("database", Verdict.WRONG, str(error), "check data_dir and database_url")
        return
    with place:
        database, running = place.database, place.running
        yield Finding("database", Verdict.OK, database.name)
        if running is None and not _anything_listens(settings):
            yield Finding("services", Verdict.HINT, "nothing runs on this data folder", "aperture up")
        else:
            for check in (_mqtt, _ftp, _http):
                yield await _bounded(check, settings, database, running or {})
        async for finding in tls_check.findings(settings, place):
            yield finding
        yield _cameras(database)
        yield _discord(settings, database, running or {})
        for finding in database.read(lambda rows: list(waiting.findings(rows, now_ms()))):
            yield finding


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Finding("data folder", Verdict.WRONG, f"{folder}: {error.strerror}", "choose another with --data-dir")
    if not os.access(folder, os.W_OK):
        return Finding("data folder", Verdict.WRONG, f"{folder} can't be written", "give this user the folder")
    free = shutil.disk_usage(folder).free
    detail = f"{folder}, {free // 2**20:,} MiB free"
    if free < _SCARCE_BYTES:
        return Finding(
            "data folder", Verdict.WRONG, detail, "make room: a full disk refuses photos (cameras keep them)"
        )
    return Finding("data folder", Verdict.OK, detail)


def _broker_program(settings: Settings) -> Finding:
    kind = settings.mqtt.broker
    if kind is BrokerKind.EXTERNAL:
        return Finding("MQTT broker", Verdict.OK, "an external one")
    mosquitto = shutil.which("mosquitto", path=_MOSQUITTO_PLACES)
    if mosquitto and kind is not BrokerKind.NATS:
        return Finding("MQTT broker", Verdict.OK, mosquitto)
    if kind is BrokerKind.MOSQUITTO:
        return Finding("MQTT broker", Verdict.WRONG, "mosquitto is not installed", "apt-get install mosquitto")
    return Finding("MQTT broker", Verdict.OK, "nats-server, which came along")


Check = Callable[[Settings, Database, dict[str, Any]], Awaitable[Finding]]


async def _bounded(check: Check, settings: Settings, database: Database, running: dict[str, Any]) -> Finding:
    name = check.__name__.strip("_").upper()
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await check(settings, database, running)
    except TimeoutError:
        return Finding(name, Verdict.WRONG, f"no answer within {_DEADLINE_S:.0f} s", "look at the log of aperture up")
    except (OSError, aiomqtt.MqttError, aiohttp.ClientError) as error:
        return Finding(name, Verdict.WRONG, str(error), "look at the log of aperture up")


async def _mqtt(settings: Settings, database: Database, running: dict[str, Any]) -> Finding:
    username, password = service_secret.credentials(
        settings.mqtt, database=database, data_dir=settings.data_dir, name="doctor", now_ms=now_ms()
    )
    host, port = _where(running, "mqtt", settings.mqtt)
    topic = f"{settings.mqtt.root}/server/status"
    place = f"{host}:{port}"
    while True:  # a running broker takes in a first account within a second
        try:
            async with aiomqtt.Client(host, port, username=username, password=password, identifier=username) as client:
                await client.subscribe(topic, qos=1)
                async for message in client.messages:
                    if b"online" in bytes(message.payload or b""):  # pyright: ignore[reportArgumentType] - bytes, as asked for
                        return Finding("MQTT", Verdict.OK, f"{place}, and the bridge is online")
                    return Finding("MQTT", Verdict.WRONG, f"{place}, but no bridge is online", "aperture bridge")
        except aiomqtt.MqttCodeError:
            await asyncio.sleep(0.2)


async def _ftp(settings: Settings, _database: Database, running: dict[str, Any]) -> Finding:
    host, port = _where(running, "ftp", settings.ftp)
    reader, writer = await asyncio.open_connection(host, port)
    banner = (await reader.readline()).decode(errors="replace").strip()
    writer.close()
    await writer.wait_closed()
    place = f"{host}:{port}"
    if banner.startswith("220"):
        return Finding("FTP", Verdict.OK, place)
    return Finding("FTP", Verdict.WRONG, f"{place} says {banner!r}", "look at the log of aperture up")


async def _http(settings: Settings, _database: Database, running: dict[str, Any]) -> Finding:
    api: dict[str, str] = running.get("api") or {}
    url = api.get("url") or f"http://{runfile.local(settings.api.host)}:{settings.api.port}"
    async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as answer:
        if answer.ok:
            return Finding("HTTP", Verdict.OK, url)
        return Finding(
            "HTTP", Verdict.WRONG, f"{url} is not ready: {await answer.text()}", "look at the log of aperture up"
        )


def _where(running: dict[str, Any], part: str, settings: MqttSettings | FtpSettings) -> tuple[str, int]:
    listener: dict[str, Any] = running.get(part) or {}
    host = settings.plain_host if isinstance(settings, MqttSettings) else settings.host
    return listener.get("host") or runfile.local(host), listener.get("port") or settings.port


def _cameras(database: Database) -> Finding:
    known = database.read(cameras.every)
    if not known:
        return Finding("cameras", Verdict.HINT, "none yet", "aperture camera add NAME")
    states = (f"{camera.name} ({'FTP only' if camera.ftp_only else camera.presence})" for camera in known)
    return Finding("cameras", Verdict.OK, ", ".join(states))


def _discord(settings: Settings, database: Database, running: dict[str, Any]) -> Finding:
    stand_in = running.get("demo", {}).get("discord")
    if stand_in:
        return Finding("Discord", Verdict.OK, f"{stand_in}, the demo's stand-in")
    if settings.discord.webhook_url is None:
        return Finding("Discord", Verdict.HINT, "no webhook is set", "set APERTURE_DISCORD__WEBHOOK_URL")
    from bridge.discord import parse_webhook_url  # noqa: PLC0415 - the parts are loaded where they are needed
    from bridge.discord.errors import DiscordError  # noqa: PLC0415

    try:
        webhook = parse_webhook_url(settings.discord.webhook_url, api_base=settings.discord.api_base)
    except DiscordError as error:
        return Finding("Discord", Verdict.WRONG, str(error), "copy the webhook's URL again")
    reason = database.read(lambda connection: _parked(connection, webhook.target))
    if reason:
        return Finding("Discord", Verdict.WRONG, f"the webhook is parked: {reason}", "set a new webhook's URL")
    return Finding("Discord", Verdict.OK, "a webhook is set")


def _parked(connection: Connection, target: str) -> str | None:
    table = schema.destination.c
    query = select(table.parked_reason).where(table.parked_at_ms.is_not(None), table.target == target)
    return connection.execute(query).scalars().first()


def _anything_listens(settings: Settings) -> bool:
    """Whether parts that run by themselves, and so write no run.json, may be there."""
    for section in (settings.mqtt, settings.ftp, settings.api):
        with socket.socket() as probe:
            probe.settimeout(1)
            if section.port and probe.connect_ex((runfile.local(section.host), section.port)) == 0:
                return True
    return False
