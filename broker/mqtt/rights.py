"""Who may say and hear what: the one table that both brokers' access lists are made of.

Directions are the contract's (aperture/contract/topics.py): a camera can't forge what the server says to it, nor hear
another camera. Last wills and retained messages obey the same lists. `mosquitto` and `nats` say it in their own words.
"""

from dataclasses import dataclass

from aperture.contract.topics import FROM_CAMERA, FROM_OPERATOR, TO_CAMERA, Topics
from aperture.store.accounts import Account, Role

HOME_ASSISTANT = "homeassistant/#"


@dataclass(frozen=True, slots=True)
class Rights:
    """The topic filters (MQTT 3.1.1, 4.7) that an account may publish to and read."""

    publish: tuple[str, ...]
    read: tuple[str, ...]


def of(account: Account, *, topics: Topics) -> Rights:
    """Return what an account may do below the root of `topics`."""
    everything = f"{topics.root}/#"
    match account.role:
        case Role.CAMERA:
            return Rights(
                publish=tuple(topics.of(account.name, kind) for kind in FROM_CAMERA),
                read=tuple(topics.of(account.name, kind) for kind in TO_CAMERA),
            )
        case Role.READER:
            return Rights(publish=(), read=(everything,))
        case Role.OPERATOR:
            requests = tuple(topics.every(kind) for kind in FROM_OPERATOR)
            return Rights(publish=(*requests, HOME_ASSISTANT), read=(everything, HOME_ASSISTANT))
        case Role.SERVER:
            return Rights(publish=(everything, HOME_ASSISTANT), read=(everything, HOME_ASSISTANT))


def admitted(accounts: list[Account]) -> list[Account]:
    """Return those of the accounts that MQTT is for: not the ones that only upload by FTP."""
    return [account for account in accounts if not account.ftp_only]
