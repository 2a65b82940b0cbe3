"""The bridge as one object: its loops, in the order in which they start and end."""

import asyncio
import time
from typing import cast

import structlog

from aperture.commands import Commands
from aperture.contract.links import Links
from aperture.contract.topics import Topics
from aperture.hints import Hints
from aperture.settings import Settings
from aperture.store.blobs import LocalBlobs
from aperture.store.database import Database
from aperture.store.errors import StoreError
from bridge.errors import LeaseLostError
from bridge.feed import Feed
from bridge.housekeeping import Housekeeping
from bridge.mqtt.inbound import Inbound
from bridge.mqtt.link import Link, MqttEndpoint, heed_cancellation
from bridge.mqtt.mailman import Mailman
from bridge.mqtt.showcase import Showcase
from bridge.outbox.loop import Outbox
from bridge.tenure import Tenure
from bridge.tuning import Backoff, Tuning

log = structlog.get_logger(__name__)

_RESTART_S = 0.5
_RESTART_MOST_S = 30.0


class Bridge:
    """Links MQTT, the rows and Discord. One acts at a time; another one waits and takes over."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        blobs: LocalBlobs,
        commands: Commands,
        hints: Hints,
        mqtt: MqttEndpoint,
        version: str,
        tuning: Tuning | None = None,
    ) -> None:
        """Nothing is opened before `run`.

        Raises:
            WebhookUrlError: the webhook of the settings is no webhook's URL.
        """
        tuning = tuning or Tuning()
        topics = Topics(settings.mqtt.root)
        links = Links((settings.api.public_url or "").rstrip("/"))
        self.ready = asyncio.Event()
        """Set while this bridge acts: it has the lease, has spoken with the broker, and posts."""
        self._tenure = Tenure(database=database, ttl_ms=tuning.lease_ms)
        self._link = Link(endpoint=mqtt, topics=topics, version=version, tuning=tuning)
        mailman = Mailman(
            database=database, link=self._link, topics=topics, hints=hints, resend_after_ms=tuning.resend_after_ms
        )
        showcase = Showcase(database=database, link=self._link, topics=topics, links=links)
        self._feed = Feed(database=database, mailman=mailman, showcase=showcase)
        self._inbound = Inbound(
            database=database, commands=commands, hints=hints, mailman=mailman, showcase=showcase, topics=topics
        )
        self._housekeeping = Housekeeping(
            settings=settings, database=database, hints=hints, mailman=mailman, tuning=tuning
        )
        self._outbox = Outbox(
            settings=settings.discord,
            database=database,
            blobs=blobs,
            hints=hints,
            tenure=self._tenure,
            links=links,
            tuning=tuning,
            on_news=self._feed.poke,
        )

    async def run(self) -> None:
        """Serve until cancelled, whenever no other bridge does. At the end the server's status is `offline`."""
        broken = Backoff(first=_RESTART_S, most=_RESTART_MOST_S)
        while True:
            # A task of its own: a group that fails while it is cancelled loses the cancellation, and Python 3.11's
            # may leave its task marked as cancelled when it was not.
            pause_s = await asyncio.create_task(self._act(broken), name="bridge tenure")
            heed_cancellation()
            await asyncio.sleep(pause_s)

    async def _act(self, broken: Backoff) -> float:
        """Wait for the lease and serve until something ends it; return the pause before the next time."""
        pause_s, started_s = _RESTART_S, time.monotonic()
        try:
            async with self._tenure.hold():
                await self._serve()
        except* LeaseLostError as lost:
            log.warning("the bridge has stopped: it lost its lease", error=_words(lost))
        except* StoreError as failed:
            log.warning("the bridge can't work on its rows: it starts again", error=_words(failed))
        except* Exception:  # what broke one part must not end the others, nor the server around them
            if time.monotonic() - started_s > _RESTART_MOST_S:
                broken.reset()
            pause_s = broken.next()
            log.exception("the bridge broke: it starts again", pause_s=round(pause_s, 1))
        return pause_s

    async def _serve(self) -> None:
        connected, posting = asyncio.Event(), asyncio.Event()

        async def on_connect() -> None:
            connected.set()
            await self._feed.restore()

        async def tell_ready() -> None:
            await connected.wait()
            await posting.wait()
            self.ready.set()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._outbox.run(posting), name="bridge outbox")
                group.create_task(self._feed.run(), name="bridge feed")
                group.create_task(self._housekeeping.run(), name="bridge housekeeping")
                group.create_task(
                    self._link.run(on_connect=on_connect, on_message=self._inbound.take), name="bridge mqtt"
                )
                group.create_task(tell_ready(), name="bridge ready")
        finally:
            self.ready.clear()


def _words(error: BaseException) -> str:
    """Return the words of an error, or of the first one in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return str(error)
