"""mosquitto, set up: the shipped `mosquitto.conf`, and beside it the files that settings and accounts make.

Started as root, mosquitto would drop to its own user and then fail to read what root alone may read. So the child is
started as that user from the first instruction on (`leash`), in a folder that it may read but not change, for we write
there as root. Its own is only the folder `store` in it. All paths are relative: the folders above may stay closed.
"""

import os
import pwd
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aperture.contract.topics import Topics
from aperture.settings import BrokerKind
from aperture.store import private_file
from aperture.store.accounts import Account
from aperture.store.private_file import Owner
from aperture.tls.errors import TlsError
from aperture.tls.files import Stamp, TlsFiles
from broker.mqtt import rights
from broker.mqtt.engine import Address, Listeners

MAX_CONNECTIONS: Final = 2048

_CANT_READ_IT: Final = "Couldn't open database"  # what it ends with, whatever is wrong with the file
_ALARMING = re.compile(r"^(\d+: )?(error|warning)\b", re.IGNORECASE)  # before its settings are read, it adds the time


@dataclass(slots=True, kw_only=True)
class Mosquitto:
    """One mosquitto and its folder. The key of the certificate is copied there, for mosquitto's user to read."""

    program: Path
    folder: Path
    topics: Topics
    owner: Owner | None
    tls_files: TlsFiles
    kind: BrokerKind = BrokerKind.MOSQUITTO
    speaks_tls: bool = True
    _certified: Stamp | None = field(default=None, init=False)
    _listens_for_tls: bool = field(default=False, init=False)

    @property
    def command(self) -> tuple[str, ...]:
        """The call, from within the folder."""
        return (str(self.program), "-c", "mosquitto.conf")

    def prepare(self, listeners: Listeners) -> None:
        """Write the static file, the listeners', and the certificate."""
        for folder in (self.folder, self.folder / "conf.d"):
            if self.owner is None:
                private_file.make_folder(folder)
            else:
                private_file.make_folder(folder, owner=Owner(os.geteuid(), self.owner.gid), mode=0o750)
        private_file.make_folder(self._database.parent, owner=self.owner)
        self._write("mosquitto.conf", shipped_conf().read_text(encoding="utf-8"))
        self._write("conf.d/listener.conf", _conf(listeners, user=self._user()))
        self._listens_for_tls = listeners.tls is not None
        if self._listens_for_tls:
            self._copy_certificate()
        if self.owner is not None:
            private_file.hand_over(self._database, owner=self.owner)

    def admit(self, accounts: list[Account]) -> None:
        """Write who may connect, and before that what they may do."""
        members = rights.admitted(accounts)
        self._write("acl", "\n".join(_acl(account, topics=self.topics) for account in members))
        self._write("passwords", "".join(f"{account.name}:{account.mqtt_hash}\n" for account in members))

    def certify(self) -> bool:
        """Copy the certificate again when it was renewed."""
        if not self._listens_for_tls or self.tls_files.stamp() in {None, self._certified}:
            return False
        self._copy_certificate()
        return True

    def _copy_certificate(self) -> None:
        stamp = self.tls_files.stamp()
        try:
            self.tls_files.context()  # with what is of no use mosquitto would not start
        except TlsError:
            self._certified = stamp  # not again until it changes
            raise
        self._write("server.key", self.tls_files.server_key.read_text(encoding="ascii"))
        self._write("server.pem", self.tls_files.server_pem.read_text(encoding="ascii"))
        self._certified = stamp

    def mend(self, lines: Iterable[str]) -> str | None:
        """Set a database aside that mosquitto can't read: everything retained is put back by its authors."""
        database = self._database
        if not database.exists() or not any(_CANT_READ_IT in line for line in lines):
            return None
        database.replace(database.with_suffix(".db.broken"))
        return f"mosquitto could not read its {database.name}: it is set aside as {database.name}.broken"

    def is_alarming(self, line: str) -> bool:
        """Whether mosquitto complains of something."""
        return _ALARMING.search(line) is not None

    @property
    def _database(self) -> Path:
        return self.folder / "store" / "mosquitto.db"

    def _write(self, name: str, text: str) -> None:
        private_file.write(self.folder / name, text, owner=self.owner)

    def _user(self) -> str:
        uid = os.geteuid() if self.owner is None else self.owner.uid
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:  # a container may run us as a number without a name; mosquitto reads `user` only as root
            return "mosquitto"


def own_user() -> Owner | None:
    """Return mosquitto's own user when we are root and there is one: a server on the LAN is better not root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("mosquitto")
    except KeyError:
        return None
    return Owner(entry.pw_uid, entry.pw_gid)


def shipped_conf() -> Path:
    """Return the shipped `mosquitto.conf`: at the repository's top, or in the installed package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "mosquitto.conf"
    return installed if installed.exists() else package.parent / "mosquitto.conf"


def _conf(listeners: Listeners, *, user: str) -> str:
    lines = ["# Written at each start, from the settings below [mqtt].", f"user {user}", *_listener(listeners.plain)]
    if listeners.tls is not None:
        lines += _listener(listeners.tls)
        lines += [
            "# TLS 1.2 and newer: what mosquitto 2.0 takes when nothing is said.",
            "certfile server.pem",
            "keyfile server.key",
        ]
    return "\n".join((*lines, ""))


def _listener(address: Address) -> list[str]:
    return [
        f"listener {address.port} {address.host}",
        f"max_connections {MAX_CONNECTIONS}",
        "# Else a camera that uses another's client id ends its session and fires its last will.",
        "# It works only below the listener that it is meant for, and each has to have its own.",
        "use_username_as_clientid true",
    ]


def _acl(account: Account, *, topics: Topics) -> str:
    allowed = rights.of(account, topics=topics)
    lines = [f"user {account.name}"]
    lines += [f"topic write {topic}" for topic in allowed.publish]
    lines += [f"topic read {topic}" for topic in allowed.read]
    return "\n".join(lines) + "\n"
