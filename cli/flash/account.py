"""Who the camera is: its account on the server, and the `secrets.json` that makes it so."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from aperture.clock import now_ms
from aperture.contract.ids import check_name
from aperture.store import accounts
from aperture.store.accounts import Role
from aperture.store.credentials import verify_mosquitto
from aperture.store.errors import ConflictError
from aperture.tls import authority as tls_authority
from aperture.tls.errors import TlsError
from aperture.tls.files import TlsFiles
from cli.flash.errors import FlashError
from cli.place import Place

VARIABLE: Final = "APERTURE_CAMERA_TOKEN"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a camera's account stands before it is flashed: `token` is one that is valid and stays, if any.

    `words` says what will become of it.
    """

    name: str
    is_new: bool
    words: str
    token: str | None = field(repr=False)

    @property
    def is_rotated(self) -> bool:
        """Whether its old token will be void."""
        return not self.is_new and self.token is None


def look(place: Place, name: str, on_board: dict[str, Any] | None) -> Standing:
    """Look at the account of a camera, and change nothing.

    Args:
        place: the store.
        name: the camera.
        on_board: the secrets that are on the board now, if any.

    Raises:
        NameRejectedError: no camera can be called so.
        ConflictError: the name belongs to somebody else.
        FlashError: the camera only speaks FTP, or the token in the environment is not its own.
    """
    check_name(name)
    known = place.database.read(lambda connection: accounts.get(connection, name))
    given = os.environ.get(VARIABLE)
    if known is not None and known.role is not Role.CAMERA:
        raise ConflictError(f"{name!r} is the account of {known.role}, not a camera: choose another name")
    if known is None or known.revoked_at_ms is not None:
        if given:
            raise FlashError(f"{VARIABLE} is set, but there is no camera {name!r} that it could be the token of")
        return Standing(name, is_new=True, words="a new camera", token=None)
    if known.ftp_only:
        raise FlashError(f"{name!r} only uploads by FTP: choose another name for a camera with this firmware")
    if given:
        if not verify_mosquitto(given, known.mqtt_hash):
            raise FlashError(f"{VARIABLE} is not the token of {name!r}: unset it, and the camera gets a new one")
        return Standing(name, is_new=False, words="with the token that was given", token=given)
    token = (on_board or {}).get("token") if (on_board or {}).get("camera") == name else None
    if isinstance(token, str) and verify_mosquitto(token, known.mqtt_hash):
        return Standing(name, is_new=False, words="the board has its token already", token=token)
    return Standing(
        name,
        is_new=False,
        words="this board doesn't have its token: it gets a new one, and the old one is void",
        token=None,
    )


def settle(place: Place, standing: Standing) -> tuple[str, str | None]:
    """Return the token and the update key, after adding the camera, or giving it new ones, where it has to be."""

    def work(connection: Connection) -> tuple[str, str | None]:
        token = standing.token
        if standing.is_new:
            token = accounts.add(connection, name=standing.name, role=Role.CAMERA, now_ms=now_ms())
        elif token is None:
            token = accounts.rotate(connection, name=standing.name, now_ms=now_ms())
        return token, accounts.update_key(connection, standing.name)

    return place.database.write(work)


@dataclass(frozen=True, slots=True)
class Server:
    """Where the camera finds its server, as it sees it; `tls` of each: whether by TLS."""

    host: str
    mqtt_port: int
    mqtt_tls: bool
    ftp_host: str
    ftp_port: int
    ftp_tls: bool
    root: str

    @property
    def tls(self) -> bool:
        """Whether there is anything that a certificate is needed for."""
        return self.mqtt_tls or self.ftp_tls


def authority(data_dir: Path, server: Server) -> Path:
    """Return the certificate (DER) that the camera is to check its server by.

    Raises:
        FlashError: there is none, or the server's own does not hold for the address that the camera calls it by.
    """
    files = TlsFiles.of(data_dir)
    try:
        names = tls_authority.inspect(files).names
    except TlsError as error:
        raise FlashError(str(error)) from error
    for host, used in ((server.host, server.mqtt_tls), (server.ftp_host, server.ftp_tls)):
        if used and host not in names:
            raise FlashError(
                f"the server's certificate holds for {', '.join(names)}, but not for {host}, as the camera is to call "
                f"it: aperture tls init --host {host}, or another --host here"
            )
    return files.ca_der


_OWNERS: Final = ("country", "hostname", "ntp", "settings")


def secrets(
    *,
    name: str,
    token: str,
    update_key: str | None,
    board: str,
    wifi: object,
    country: str | None,
    server: Server,
    on_board: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the body of `secrets.json`, as `firmware/aa/settings.py` reads it.

    What its owner added by hand to the secrets that are `on_board` stays.
    """
    body = {key: value for key, value in (on_board or {}).items() if key in _OWNERS}
    body |= {"camera": name, "token": token, "board": board, "root": server.root, "wifi": wifi}
    body["mqtt"] = {"host": server.host, "port": server.mqtt_port} | ({"tls": True} if server.mqtt_tls else {})
    body["ftp"] = {"host": server.ftp_host, "port": server.ftp_port} | ({"tls": True} if server.ftp_tls else {})
    if update_key:
        body["update_key"] = update_key
    if country:
        body["country"] = country
    return body
