"""What the camera shows of itself: its display to who holds it, its status to the server."""

import asyncio

from aa import VERSION
from aa.messages import encode_status

_STATUS_CHANGE_MS = 1_000
_REDRAW_MS = 150


class Face:
    """Shows `app`: `show_for_ever` on its display, `tell_for_ever` in its status; `last` is what happened."""

    def __init__(self, app):
        self._app = app
        self._news = asyncio.Event()
        self._redraw = asyncio.Event()
        self.last = ""

    def changed(self):
        """There is something new to show and to tell."""
        self._news.set()
        self._redraw.set()

    async def show_for_ever(self):
        """Draw what is new."""
        while True:
            self._show()
            await self._redraw.wait()
            await asyncio.sleep_ms(_REDRAW_MS)  # drawing stops all else for 25 ms: not while a photo is leaving
            self._redraw.clear()

    async def tell_for_ever(self):
        """Publish a status after each change, and now and then without one."""
        while True:
            self.tell()
            await asyncio.sleep_ms(_STATUS_CHANGE_MS)  # news come in bursts
            try:
                await asyncio.wait_for_ms(self._news.wait(), self._app.settings["status_every_ms"])
            except asyncio.TimeoutError:
                pass
            self._news.clear()

    def _show(self):
        app = self._app
        waiting = len(app.queue)
        app.display.show([
            app.secrets["camera"],
            "ready" if not waiting else "{} to send".format(waiting),
            "wifi " + app.wifi.state,
            "mqtt " + app.mqtt.state,
            "ftp " + app.uploader.state,
            self.last,
        ])

    def tell(self):
        """Publish the status now."""
        app = self._app
        facts = app.board.telemetry(app.storage.folder)
        facts.update({
            "rssi_dbm": app.wifi.rssi_dbm(),
            "queue": len(app.queue),
            "uptime_ms": app.clock.uptime_ms(),
            "firmware": VERSION,
            "sensor": app.sensor.name,
            "display": app.display.lines,
            "wake_reason": app.woken_by,
            "settings": app.settings.all(),
            "shot_uah": app.cost.uah,
        })
        facts.update(app.battery.telemetry())
        app.mqtt.publish("status", encode_status(facts), True)
