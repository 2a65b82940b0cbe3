"""`aperture token …`: bearer tokens of the HTTP API."""

import argparse

from aperture.clock import now_ms
from aperture.settings import Settings
from aperture.store import accounts
from aperture.store.accounts import Role
from cli import output
from cli.place import Place


def create(options: argparse.Namespace, settings: Settings) -> int:
    """Create a token."""
    with Place(settings) as place:
        token, secret = place.database.write(
            lambda connection: accounts.create_token(
                connection, name=options.name, role=Role(options.role), now_ms=now_ms()
            )
        )
    if options.json:
        output.emit({"token": secret, "name": token.name, "role": token.role})
    else:
        output.facts({"token": secret, "name": token.name, "role": token.role.value})
        print("\nThe token is shown this once. Use it as: Authorization: Bearer TOKEN")
    return 0


def list_all(options: argparse.Namespace, settings: Settings) -> int:
    """List the tokens in use."""
    with Place(settings) as place:
        known = place.database.read(accounts.tokens)
    rows = [
        {"name": token.name, "role": token.role.value, "created": output.local_time(token.created_at_ms)}
        for token in known
    ]
    if options.json:
        output.emit(rows)
    else:
        output.table(rows, empty="No tokens yet: aperture token create NAME")
    return 0


def revoke(options: argparse.Namespace, settings: Settings) -> int:
    """Void a token."""
    with Place(settings) as place:
        place.database.write(lambda connection: accounts.revoke_token(connection, name=options.name, now_ms=now_ms()))
    if options.json:
        output.emit({"name": options.name, "revoked": True})
    else:
        print(f"The token {options.name} is revoked.")
    return 0
