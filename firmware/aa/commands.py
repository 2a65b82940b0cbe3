"""What the server asks of the camera: each command once, and a reply for each, as often as it is asked.

A command's id is written down before it is acted on, and what became of it after. `Journal` remembers.
"""

import asyncio

from aa import log
from aa.bundle import BadBundle
from aa.capture import NoFrame
from aa.messages import BadMessage, decode_command, encode_reply
from aa.pulse import Pulse
from aa.settings import BadSettings, check

_REPLY_GRACE_MS = 300
_MOST_WAITING = 16
_LONGEST_DETAIL = 100
_ACT_MS = 120_000
_SEARCH_MS = 900_000  # thousands of photos on a card, each looked into


class Commands:
    """Acts on commands for `app`, which has shutter, queue, journal, settings, clock, mqtt and what else they touch."""

    def __init__(self, app):
        self._app = app
        self._waiting = []
        self._wake = asyncio.Event()
        self.pulse = Pulse()
        self._owed = []  # replies that could not leave yet
        self._cut_off = app.journal.interrupted()

    def take(self, body):
        """Note a command that came; `run` acts on it later, outside the MQTT callback."""
        try:
            command = decode_command(body)
        except BadMessage as cause:
            log.warning("bad command", why=log.words(cause))
            return
        self._app.clock.sync(command["now_ms"])
        if len(self._waiting) >= _MOST_WAITING or any(one["id"] == command["id"] for one in self._waiting):
            return  # the server repeats it until there is a reply
        self._waiting.append(command)
        self._wake.set()

    @property
    def busy(self):
        """Whether a command waits or is being acted on."""
        return bool(self._waiting or self._cut_off)

    async def run(self):
        """Act on commands for ever."""
        await self._settle()
        while True:
            while self._waiting:
                self.pulse.within(_ACT_MS)
                try:
                    await self._act(self._waiting[0])
                finally:
                    self._waiting.pop(0)
            self.pulse.rest()
            await self._wake.wait()
            self._wake.clear()

    async def _settle(self):
        """After a boot: say what became of commands that the reset cut off."""
        while self._cut_off:
            try:
                await self._settle_one(self._cut_off[0])
            finally:
                self._cut_off.pop(0)

    async def _settle_one(self, record):
        if self._app.updater.has(record["id"]):
            return  # it goes on, and is answered at its end
        if record.get("do") == "shutter" and await self._app.queue.find_command(record["id"]):
            self.finish(record["id"], True)
        else:
            self.finish(record["id"], False, "interrupted", "a reset cut it off")

    def finish(self, command, ok, error=None, detail=None):
        """Write down what became of a command, and reply. `detail` may echo what came, and is cut short."""
        detail = detail and detail[:_LONGEST_DETAIL]
        self._reply(self._app.journal.finish(command, ok, error, detail))

    def _reply(self, record):
        body = encode_reply(record["id"], record["ok"], record.get("error"), record.get("detail"))
        if not self._app.mqtt.publish("reply", body):
            self._owed = self._owed[1 - _MOST_WAITING :] + [body]

    def say_owed(self):
        """Send the replies that were held up."""
        owed, self._owed = self._owed, []
        for body in owed:
            if not self._app.mqtt.publish("reply", body):
                self._owed.append(body)

    async def _act(self, command):
        known = self._app.journal.find(command["id"])
        if known is not None:
            if "ok" in known:
                self._reply(known)
            return  # else it is being acted on: the reply comes with its result
        if self._app.clock.is_past(command["expires_at_ms"], command["now_ms"]):
            self._reply({"id": command["id"], "ok": False, "error": "expired"})
            return
        action = getattr(self, "_do_" + command["do"], None)
        if action is None:
            self._reply({"id": command["id"], "ok": False, "error": "unknown_command", "detail": command["do"][:32]})
            return
        try:
            self._app.journal.begin(command["id"], command["do"])
            log.info("command", do=command["do"], id=command["id"])
            await action(command["id"], command["args"])
        except Exception as cause:
            log.error("command failed", cause, do=command["do"])
            self.finish(command["id"], False, "failed", log.words(cause))

    async def _do_shutter(self, command, args):
        if not self._app.shutter.press("command", command):
            self.finish(command, False, "busy", "too many presses wait")

    async def _do_identify(self, command, args):
        self.finish(command, True)
        await self._app.face.identify()

    async def _do_configure(self, command, args):
        try:
            await self._configure(args)
        except (BadSettings, NoFrame) as cause:
            self.finish(command, False, "bad_settings", str(cause))
            return
        self.finish(command, True)

    async def _configure(self, changes):
        """Change settings; what the sensor can't do is taken back, or there would be no more photos."""
        before = self._app.settings.change(changes)
        async with self._app.sensor.lock:
            try:
                self._app.sensor.apply_settings()
            except NoFrame:
                self._app.settings.change(before)
                self._app.sensor.apply_settings()
                raise

    async def _do_resend(self, command, args):
        photo = args.get("photo")
        self.pulse.within(_SEARCH_MS)
        count = await self._app.queue.again_all() if photo is None else await self._app.queue.again(photo)
        self._app.announcer.wake()
        if photo is not None and not count:
            self.finish(command, False, "unknown_photo", "the camera has it no longer")
        else:
            self.finish(command, True, None, "{} to send again".format(int(count)))

    async def _do_sleep(self, command, args):
        wake_ms = args.get("next_wake_ms", self._app.settings["wake_every_ms"])
        try:
            check("wake_every_ms", wake_ms)
        except BadSettings as cause:
            self.finish(command, False, "bad_args", "next_wake_ms, as " + str(cause))
            return
        self.finish(command, True)
        self._app.sleeper.ask("command", wake_ms)

    async def _do_update(self, command, args):
        try:
            self._app.updater.begin(command, args)
        except BadBundle as cause:
            self.finish(command, False, cause.error, str(cause))

    async def _do_reboot(self, command, args):
        self.finish(command, True)
        self.pulse.rest()  # it waits for photos, however many
        await self._app.power.reboot(_REPLY_GRACE_MS)
