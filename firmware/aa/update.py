"""New firmware over the network: fetched into the slot that does not run, checked, and tried.

It comes over the uploader's own FTP session, file by file, each only while no photo waits: so a photo waits for the
rest of one small file at most, and no second TLS session takes memory. What is under way is written down in
`/update.json`: after a power cut it goes on, with the files that are whole already. The reply comes from the new
firmware once it has reached the broker, or from the old one, which then runs again.
"""

import asyncio

from aa import VERSION, bundle, files, log, slots
from aa.backoff import Backoff
from aa.bundle import BadBundle, Hash
from aa.ftpwire import FtpError
from aa.messages import encode_progress
from aa.net import Lost
from aa.pulse import Pulse
from aa.spare import Spare

_NEWEST = "newest"
_JOB = ("command", "bundle", "starts", "version", "tried")
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"
_LONGEST_NAME = 64
_MOST_MANIFEST_BYTES = 40_960
_LOWEST_BATTERY_PCT = 20
_MOST_STARTS = 5  # of the camera, with the same update: one that resets it must end some time
_MOST_TRIES = 10
_TURN_MS = 300_000  # photos come first, and there may be many
_STEP_PCT = 10
_LATE_MS = 15_000
_LOST = (OSError, EOFError, Lost, asyncio.TimeoutError, MemoryError)


class Updater:
    """Updates `app` to `version`; `progress` is in percent, None when there is no update."""

    def __init__(self, app, folder=""):
        self._app = app
        self._path = folder + "/update.json"
        self._folder = folder
        job = files.read_json(self._path, {})
        self._job = job if all(key in job for key in _JOB) else None
        self._wake = asyncio.Event()
        self._online = asyncio.Event()
        self.progress = self.version = None
        self.pulse = Pulse()

    @property
    def busy(self):
        """Whether an update is under way."""
        return self._job is not None

    def has(self, command):
        """Whether the update under way is this command's."""
        return self._job is not None and self._job["command"] == command

    def begin(self, command, args):
        """Take up an update; its reply comes with its end.

        Raises:
            BadBundle: it is refused.
            OSError: it can't be written down.
        """
        name = args.get("bundle") or _NEWEST
        if not isinstance(name, str) or len(name) > _LONGEST_NAME or name.startswith("."):
            raise BadBundle("bad_args", "bundle: the name of a bundle")
        if any(letter not in _NAME_CHARACTERS for letter in name):
            raise BadBundle("bad_args", "bundle: letters, digits and . _ + - only")
        if self.has(command):
            return  # 32 others came since, and it is asked for once more
        if self._job is not None:
            raise BadBundle("busy", "another update is under way")
        job = {"command": command, "bundle": name, "starts": 0, "version": None, "tried": False}
        files.write_json(self._path, job)
        self._job = job
        self._wake.set()

    def online(self):
        """The broker has been reached: firmware on trial has passed."""
        slots.confirm()
        self._online.set()

    async def run(self):
        """Work for ever."""
        while True:
            while self._job is not None:
                await self._go_on(self._job)
                self.pulse.rest()
            await self._wake.wait()
            self._wake.clear()

    async def _go_on(self, job):
        try:
            if job["version"] == VERSION:
                await self._passed()
                self._end(True, None, VERSION)
            elif job["tried"]:
                raise BadBundle("rolled_back", "{} never reached the broker; {} runs".format(job["version"], VERSION))
            else:
                await self._install(job)
        except BadBundle as cause:
            self._end(False, cause.error, str(cause))

    async def _passed(self):
        while slots.on_trial() is not None or not self._app.is_online():
            self._online.clear()
            await self._online.wait()

    def _end(self, ok, error, detail):
        log.info("update ended", ok=ok, error=error, detail=detail)
        self._app.commands.finish(self._job["command"], ok, error, detail)
        files.remove(self._path)
        self._job = self.progress = None
        self._app.face.changed()

    async def _install(self, job):
        """Fetch it and boot it. Comes back only when it ended, or is to be tried again from the start."""
        job["starts"] += 1
        if job["starts"] > _MOST_STARTS:
            raise BadBundle("interrupted", "the camera was reset {} times during it".format(_MOST_STARTS))
        try:
            self._save()
        except OSError as cause:  # starts that can't be counted might never end
            raise BadBundle("no_space", "flash: " + log.words(cause))
        backoff = Backoff(2_000, 60_000)
        why = None
        for _ in range(_MOST_TRIES):
            await self._app.wifi.wait_up()
            try:
                self._check()
                if await self._fetch(job):
                    await self._try_out(job)
                    return
                self._end(True, None, VERSION + " runs already")
                return
            except _LOST as cause:
                why = ("short of RAM, " if isinstance(cause, MemoryError) else "") + log.words(cause)
            log.warning("update held up", why=why)
            self.pulse.rest()
            await asyncio.sleep_ms(backoff.next_ms())
        raise BadBundle("interrupted", why)

    def _save(self):
        files.write_json(self._path, self._job)

    def _check(self):
        """Refuse what can't end well."""
        if slots.spare() is None or slots.on_trial() is not None:
            raise BadBundle("no_slots", "there is no slot to write to: flash the camera again")
        self._app.battery.sample()
        percent = self._app.battery.percent
        if percent is not None and percent < _LOWEST_BATTERY_PCT and not self._app.battery.on_usb:
            raise BadBundle("battery_low", "{} %, and {} % are needed".format(percent, _LOWEST_BATTERY_PCT))

    async def _fetch(self, job):
        """Fill the other slot. Returns False when that firmware runs already."""
        key = bundle.key_of(self._app.secrets)
        data = await self._read(job, "bundle.json", "unknown_bundle")
        bundle.check_signature(key, data, await self._read(job, "bundle.sig", "no_update_key"))
        version, wanted = bundle.parse(data, self._app.board.name)
        if version == VERSION:
            return False
        self.version = version
        spare = Spare(self._folder + "/" + slots.spare())
        missing = await spare.empty_but(wanted)
        room_kb = spare.room_kb(missing)
        if room_kb:
            raise BadBundle("no_space", "{} KiB more are needed on the flash".format(room_kb))
        total = sum(one["bytes"] for one in wanted) or 1
        left = sum(one["bytes"] for one in missing)
        for one in missing:
            self._tell(100 * (total - left) // total)
            await self._fetch_file(job, spare, one)
            left -= one["bytes"]
        self._tell(100)
        job["version"] = version
        self._save()
        spare.seal(data)
        return True

    async def _fetch_file(self, job, spare, one):
        digest = Hash()
        with spare.create(one) as file:

            def take(piece):
                digest.update(piece)
                if digest.size > one["bytes"]:
                    raise BadBundle("bad_bundle", one["path"] + " is too long")
                try:
                    file.write(piece)
                except OSError as cause:
                    raise BadBundle("no_space", "flash: " + log.words(cause))

            await self._turn(job, one["path"], take)
        if not digest.is_of(one):
            raise BadBundle("bad_bundle", one["path"] + " is not what was signed")
        if not await spare.holds(one):
            raise BadBundle("bad_flash", one["path"] + " reads back wrong")

    async def _read(self, job, name, missing):
        """Return a small file of the bundle; `missing` is the error when the server has none."""
        pieces = []

        def take(piece):
            pieces.append(bytes(piece))
            if sum(len(one) for one in pieces) > _MOST_MANIFEST_BYTES:
                raise BadBundle("bad_bundle", name + " is too long")

        try:
            await self._turn(job, name, take)
        except FtpError as cause:
            if cause.code == 550:
                raise BadBundle(missing, str(cause))
            raise
        return b"".join(pieces)

    async def _turn(self, job, path, take):
        """Read a file of the bundle when the photos have gone."""
        self.pulse.within(_TURN_MS + _LATE_MS)
        remote = "/firmware/{}/{}".format(job["bundle"], path)
        await asyncio.wait_for_ms(self._app.uploader.between(lambda ftp: ftp.retrieve(remote, take)), _TURN_MS)

    def _tell(self, percent):
        """Say how far it is, in steps."""
        if self.progress is None or percent - self.progress >= _STEP_PCT or percent == 100 != self.progress:
            self.progress = percent
            self._app.mqtt.publish("reply", encode_progress(self._job["command"], percent))
            self._app.face.changed()

    async def _try_out(self, job):
        """Boot the other slot, on trial. Does not return."""
        slots.start_trial()
        job["tried"] = True  # after it: a power cut between the two must not look like a trial that failed
        try:
            self._save()
        except (OSError, MemoryError) as cause:  # should the trial fail, it is fetched anew, some times at most
            log.error("trial not noted", why=log.words(cause))
        log.info("update is tried", version=job["version"], slot=slots.spare())
        self.pulse.rest()  # it waits for photos, however many
        await self._app.power.reboot()
