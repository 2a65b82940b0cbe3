"""mosquitto, set up: the shipped `mosquitto.conf`, and beside it the files that settings and accounts make.

Started as root, mosquitto would drop to its own user and then fail to read what root alone may read. So the child is
started as that user from the first instruction on (`leash`), in a folder that it may read but not change, for we write
there as root. Its own is only the folder `store` in it. All paths are relative: the folders above may stay closed.
"""

import os
import pwd
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aperture.contract.topics import Topics
from aperture.settings import BrokerKind
from aperture.store import private_file
from aperture.store.accounts import Account
from aperture.store.private_file import Owner
from broker.mqtt import rights
from broker.mqtt.engine import Address

MAX_CONNECTIONS: Final = 2048

_CANT_READ_IT: Final = "Couldn't open database"  # what it ends with, whatever is wrong with the file
_ALARMING = re.compile(r"^(\d+: )?(error|warning)\b", re.IGNORECASE)  # before its settings are read, it adds the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosquitto:
    """One mosquitto and its folder."""

    program: Path
    folder: Path
    topics: Topics
    owner: Owner | None
    kind: BrokerKind = BrokerKind.MOSQUITTO

    @property
    def command(self) -> tuple[str, ...]:
        """The call, from within the folder."""
        return (str(self.program), "-c", "mosquitto.conf")

    def prepare(self, address: Address) -> None:
        """Write the static file and the listener's."""
        for folder in (self.folder, self.folder / "conf.d"):
            if self.owner is None:
                private_file.make_folder(folder)
            else:
                private_file.make_folder(folder, owner=Owner(os.geteuid(), self.owner.gid), mode=0o750)
        private_file.make_folder(self._database.parent, owner=self.owner)
        self._write("mosquitto.conf", shipped_conf().read_text(encoding="utf-8"))
        self._write("conf.d/listener.conf", _listener(address, user=self._user()))
        if self.owner is not None:
            private_file.hand_over(self._database, owner=self.owner)

    def admit(self, accounts: list[Account]) -> None:
        """Write who may connect, and before that what they may do."""
        members = rights.admitted(accounts)
        self._write("acl", "\n".join(_acl(account, topics=self.topics) for account in members))
        self._write("passwords", "".join(f"{account.name}:{account.mqtt_hash}\n" for account in members))

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


def _listener(address: Address, *, user: str) -> str:
    return "\n".join(
        (
            "# Written at each start, from the settings mqtt.host and mqtt.port.",
            f"user {user}",
            f"listener {address.port} {address.host}",
            f"max_connections {MAX_CONNECTIONS}",
            "# Else a camera that uses another's client id ends its session and fires its last will.",
            "# It works only below the listener that it is meant for.",
            "use_username_as_clientid true",
            "",
        )
    )


def _acl(account: Account, *, topics: Topics) -> str:
    allowed = rights.of(account, topics=topics)
    lines = [f"user {account.name}"]
    lines += [f"topic write {topic}" for topic in allowed.publish]
    lines += [f"topic read {topic}" for topic in allowed.read]
    return "\n".join(lines) + "\n"
