"""nats-server, set up: one file, made of settings and accounts. It comes along in a wheel, where mosquitto does not.

Its MQTT side maps a topic `a/b/c` to the subject `a.b.c`, and lists of subjects are its access lists. Sessions, QoS 1
and retained messages need no right to its internal `$MQTT.` and `$JS.` subjects, so nobody gets any; a topic of that
name is refused like any other that isn't allowed. (Checked with 2.15.1.)
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aperture.contract.topics import Topics
from aperture.settings import BrokerKind
from aperture.store import private_file
from aperture.store.accounts import Account
from aperture.store.private_file import Owner
from broker.mqtt import rights
from broker.mqtt.engine import Address, Listeners

_CONF: Final = "nats-server.conf"
_MIB: Final = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Nats:
    """One nats-server and its folder."""

    program: Path
    folder: Path
    topics: Topics
    owner: Owner | None = None
    kind: BrokerKind = BrokerKind.NATS
    speaks_tls: bool = False  # it can, but then it can't listen without
    _address: Address = field(default_factory=lambda: Address("127.0.0.1", 0), init=False)

    @property
    def command(self) -> tuple[str, ...]:
        """The call, from within the folder."""
        return (str(self.program), "-c", _CONF)

    def prepare(self, listeners: Listeners) -> None:
        """Make the folder; the file itself is written with the accounts."""
        private_file.make_folder(self.folder)
        self._address = listeners.plain

    def certify(self) -> bool:
        """There is none: `front` has the certificate."""
        return False

    def admit(self, accounts: list[Account]) -> None:
        """Write who may connect and what they may do. JSON is what nats-server reads, too."""
        users = [_user(account, topics=self.topics) for account in rights.admitted(accounts)]
        private_file.write(self.folder / _CONF, json.dumps(_conf(self._address, users), indent=1) + "\n")

    def mend(self, lines: Iterable[str]) -> str | None:
        """JetStream repairs its own store."""
        del lines

    def is_alarming(self, line: str) -> bool:
        """Whether nats-server complains of something."""
        return any(mark in line for mark in ("[WRN]", "[ERR]", "[FTL]")) or not line.startswith("[")


def _conf(address: Address, users: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "server_name": "aperture",  # MQTT sessions belong to it: it must not change
        # nats-server's own protocol can't be switched off. It gets a port of this machine alone, which changes at each
        # start, and no account may use it (`allowed_connection_types`).
        "listen": "127.0.0.1:-1",
        "mqtt": {"host": address.host, "port": address.port, "max_ack_pending": 100},
        "jetstream": {
            "store_dir": ".",  # it makes a folder `jetstream` there
            "max_memory_store": 16 * _MIB,
            "max_file_store": 1024 * _MIB,
            "sync_interval": "5s",  # kill -9 loses nothing; a power cut, what was said in these
        },
        "max_payload": 270_336,  # as in mosquitto.conf
        "max_connections": 2048,
        "max_pending": 8 * _MIB,  # of one slow reader
        "write_deadline": "10s",
        "logtime": False,
        "authorization": {"timeout": 5, "users": users},
    }


def _user(account: Account, *, topics: Topics) -> dict[str, Any]:
    allowed = rights.of(account, topics=topics)
    return {
        "user": account.name,
        "password": account.bcrypt_hash,
        "allowed_connection_types": ["MQTT"],
        "permissions": {"publish": _list(allowed.publish), "subscribe": _list(allowed.read)},
    }


def _list(filters: tuple[str, ...]) -> dict[str, list[str]]:
    # An empty allow-list would allow all.
    return {"allow": [subject for one in filters for subject in subjects(one)]} if filters else {"deny": [">"]}


def subjects(topic_filter: str) -> tuple[str, ...]:
    """Return the NATS subjects of an MQTT filter: `a/#` also means `a` itself (MQTT 3.1.1, 4.7.1.2)."""
    subject = topic_filter.replace("/", ".").replace("+", "*")
    if not subject.endswith(".#"):
        return (subject,)
    parent = subject.removesuffix(".#")
    return (parent, f"{parent}.>")
