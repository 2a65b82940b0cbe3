"""`aperture camera …`: cameras and their tokens. One token is a camera's password for MQTT and for FTP."""

import argparse
from typing import Any

from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.settings import Settings
from aperture.store import accounts, cameras
from aperture.store.accounts import Role
from aperture.store.cameras import Camera
from aperture.store.errors import NotFoundError
from cli import output
from cli.place import Place


def add(options: argparse.Namespace, settings: Settings) -> int:
    """Add a camera."""
    with Place(settings) as place:
        token = place.database.write(
            lambda connection: accounts.add(
                connection, name=options.name, role=Role.CAMERA, now_ms=now_ms(), ftp_only=options.ftp_only
            )
        )
        _show_secrets(options, place, token, ftp_only=options.ftp_only)
    return 0


def list_all(options: argparse.Namespace, settings: Settings) -> int:
    """List the cameras."""
    with Place(settings) as place:
        known, counts = place.database.read(
            lambda connection: (cameras.every(connection), cameras.photo_counts(connection))
        )
    if options.json:
        output.emit([_facts(camera, counts.get(camera.name, 0)) for camera in known])
        return 0
    rows = [
        {
            "camera": camera.name,
            "presence": "ftp only" if camera.ftp_only else camera.presence.value,
            "last seen": output.local_time(camera.seen_at_ms) or "never",
            "photos": counts.get(camera.name, 0),
        }
        for camera in known
    ]
    output.table(rows, empty="No cameras yet: aperture camera add NAME")
    return 0


def show(options: argparse.Namespace, settings: Settings) -> int:
    """Show one camera."""
    with Place(settings) as place:
        camera, count = place.database.read(
            lambda connection: (
                _known(connection, options.name),
                cameras.photo_counts(connection).get(options.name, 0),
            )
        )
    facts = _facts(camera, count)
    if options.json:
        output.emit(facts)
    else:
        times = {name: output.local_time(value) for name, value in facts.items() if name.endswith("_at_ms")}
        status: dict[str, Any] = facts.pop("status") or {}
        output.facts({name.removesuffix("_ms"): times.get(name, value) for name, value in facts.items()})
        if status:
            print("\nIts last status:")
            output.facts(status)
    return 0


def rotate(options: argparse.Namespace, settings: Settings) -> int:
    """Give a camera a new token, and a new update key."""
    with Place(settings) as place:

        def work(connection: Connection) -> tuple[Camera, str]:
            camera = _known(connection, options.name)
            return camera, accounts.rotate(connection, name=options.name, now_ms=now_ms())

        camera, token = place.database.write(work)
        _show_secrets(options, place, token, ftp_only=camera.ftp_only)
    return 0


def revoke(options: argparse.Namespace, settings: Settings) -> int:
    """Void a camera's token."""
    with Place(settings) as place:

        def work(connection: Connection) -> None:
            _known(connection, options.name)
            accounts.revoke(connection, name=options.name, now_ms=now_ms())

        place.database.write(work)
    if options.json:
        output.emit({"camera": options.name, "revoked": True})
    else:
        print(f"{options.name} is revoked: its connections are closed and it can't come back. Its photos stay.")
    return 0


def _known(connection: Connection, name: str) -> Camera:
    camera = cameras.get(connection, name)
    if camera is None or camera.revoked:
        raise NotFoundError(f"there is no camera {name!r}: aperture camera list shows them")
    return camera


def _facts(camera: Camera, photos: int) -> dict[str, Any]:
    fields = {name: getattr(camera, name) for name in camera.__slots__}
    return {"camera": fields.pop("name"), "photos": photos, "photos_left": camera.photos_left, **fields}


def _show_secrets(options: argparse.Namespace, place: Place, token: str, *, ftp_only: bool) -> None:
    key = place.database.read(lambda connection: accounts.update_key(connection, options.name))
    secrets = {"token": token} | ({"update_key": key} if key else {})
    data: dict[str, Any] = {"camera": options.name, **secrets}
    if not ftp_only:
        data["mqtt"] = {**place.mqtt(), "username": options.name}
    data["ftp"] = {**place.ftp(), "username": options.name}
    if place.ca_der is not None:
        data["ca_der"] = str(place.ca_der.absolute())
    if options.json:
        output.emit(data)
        return
    ftp = place.ftp()
    facts = {"camera": options.name} | {name.replace("_", " "): value for name, value in secrets.items()}
    facts |= {} if ftp_only else place.mqtt_facts()
    facts["FTP"] = f"{ftp['host']}:{ftp['port']}, user {options.name}, password: the token"
    if place.ca_der is not None:
        facts["FTP, TLS"] = ftp["tls"]
        facts["CA"] = f"{place.ca_der}, on the camera /ca.der"
    output.facts(facts)
    print("\nThe token is shown this once. It is the camera's password for everything.")
    if not ftp_only:
        print("So is the update key: by it the camera knows that new firmware comes from here.")
        print(f"Try it without hardware: aperture simulate {options.name} --token TOKEN")
