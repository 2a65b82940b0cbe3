"""`aperture account …`: MQTT accounts of people and programs."""

import argparse

from aperture.clock import now_ms
from aperture.settings import Settings
from aperture.store import accounts
from aperture.store.accounts import Role
from aperture.store.errors import NotFoundError
from cli import output
from cli.place import Place


def add(options: argparse.Namespace, settings: Settings) -> int:
    """Add an account."""
    with Place(settings) as place:
        secret = place.database.write(
            lambda connection: accounts.add(connection, name=options.name, role=Role(options.role), now_ms=now_ms())
        )
        data = {"account": options.name, "role": options.role, "password": secret, "mqtt": place.mqtt()}
    if options.json:
        output.emit(data)
    else:
        output.facts({"account": data["account"], "role": data["role"], "password": secret, **place.mqtt_facts()})
        print("\nThe password is shown this once.")
    return 0


def list_all(options: argparse.Namespace, settings: Settings) -> int:
    """List the accounts of people and programs."""
    with Place(settings) as place:
        known = place.database.read(accounts.active)
    rows = [
        {"account": account.name, "role": account.role.value, "added": output.local_time(account.created_at_ms)}
        for account in known
        if account.role in {Role.READER, Role.OPERATOR}
    ]
    if options.json:
        output.emit(rows)
    else:
        output.table(rows, empty="No accounts yet: aperture account add NAME")
    return 0


def revoke(options: argparse.Namespace, settings: Settings) -> int:
    """Void an account."""
    with Place(settings) as place:
        known = place.database.read(lambda connection: accounts.get(connection, options.name))
        if known is None or known.role not in {Role.READER, Role.OPERATOR}:
            raise NotFoundError(f"there is no account {options.name!r}: aperture account list shows them")
        place.database.write(lambda connection: accounts.revoke(connection, name=options.name, now_ms=now_ms()))
    _say_revoked(options, options.name)
    return 0


def _say_revoked(options: argparse.Namespace, name: str) -> None:
    if options.json:
        output.emit({"account": name, "revoked": True})
    else:
        print(f"{name} is revoked: its connections are closed and it can't come back.")
