"""A bridge in a process of its own, to be killed: `python child_bridge.py FOLDER MQTT_PORT WEBHOOK_URL API_BASE`."""

import asyncio
import sys
from pathlib import Path

from aperture.commands import Commands
from aperture.hints import Hints
from aperture.settings import DiscordSettings, Settings
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database
from bridge.mqtt.link import MqttEndpoint
from bridge.service import Bridge
from bridge.tuning import Tuning


async def main() -> None:
    folder, port, webhook_url, api_base = sys.argv[1:]
    database, hints = Database.open(f"sqlite:///{folder}/aperture.db"), Hints()
    discord = DiscordSettings.model_validate({"webhook_url": webhook_url, "api_base": api_base})
    bridge = Bridge(
        settings=Settings(data_dir=Path(folder), discord=discord),
        database=database,
        blobs=LocalBlobs(root=Path(folder) / "photos"),
        commands=Commands(database=database, hints=hints),
        hints=hints,
        mqtt=MqttEndpoint(host="127.0.0.1", port=int(port), username="bridge", password="secret"),
        version="1.2.3",
        tuning=Tuning(poll_s=0.05, lease_ms=1_000, retry_first_ms=200),
    )
    running = asyncio.create_task(bridge.run())
    await bridge.ready.wait()
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    await running


asyncio.run(main())
