"""Who may connect: accounts of MQTT and FTP, and bearer tokens of the HTTP API.

Of secrets only hashes are kept, but for a camera's update key: who checks a signature by it must know it, too.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from aperture.contract.ids import SLUG, check_name, new_photo_id, new_token
from aperture.store import events, schema
from aperture.store.credentials import bcrypt_hash, mosquitto_hash, token_hash
from aperture.store.errors import ConflictError, NotFoundError
from aperture.store.events import Kind

_UPDATE_KEY_BYTES = 32


class Role(StrEnum):
    """What an account may do.

    A camera publishes and reads its own topics and uploads its photos; a reader reads everything; an operator also
    asks (`request`, shutter, delete) and owns Home Assistant's topics; server accounts are the parts' own.
    """

    CAMERA = "camera"
    READER = "reader"
    OPERATOR = "operator"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Account:
    """One account, as the brokers need it."""

    name: str
    role: Role
    ftp_only: bool
    mqtt_hash: str
    bcrypt_hash: str
    created_at_ms: int
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Token:
    """One bearer token, without its secret."""

    id: str
    name: str
    role: Role
    created_at_ms: int
    revoked_at_ms: int | None


def add(connection: Connection, *, name: str, role: Role, now_ms: int, ftp_only: bool = False) -> str:
    """Add an account and return its new secret, which is kept nowhere. A camera's row comes with it.

    A camera that takes commands also gets an update key, see `update_key`.
    A revoked account of the same name and role comes back with a new secret.

    Raises:
        NameRejectedError: not a slug, or reserved.
        ConflictError: there is such an account.
    """
    check_name(name)
    known = get(connection, name)
    if known and (known.revoked_at_ms is None or known.role != role):
        raise ConflictError(
            f"there is {_article(known.role)} account {name!r} already: choose another name, or rotate it"
        )
    secret = new_token()
    _put(connection, name=name, role=role, secret=secret, now_ms=now_ms, ftp_only=ftp_only)
    if role is Role.CAMERA:
        fresh = upsert(schema.camera).values(name=name, created_at_ms=now_ms)
        connection.execute(fresh.on_conflict_do_nothing())
        _set_update_key(connection, name, issue=not ftp_only)
    return secret


def set_server_secret(connection: Connection, *, name: str, secret: str, now_ms: int) -> None:
    """Give one of the parts' own accounts (`bridge`, `doctor` …) this secret."""
    _put(connection, name=name, role=Role.SERVER, secret=secret, now_ms=now_ms, ftp_only=False)


def rotate(connection: Connection, *, name: str, now_ms: int) -> str:
    """Give an account a new secret and return it; the old one is void at once, and so is a camera's update key.

    Raises:
        NotFoundError: there is no such account, or it is revoked.
    """
    known = get(connection, name)
    if known is None or known.revoked_at_ms is not None:
        raise NotFoundError(f"there is no account {name!r}")
    secret = new_token()
    _put(connection, name=name, role=known.role, secret=secret, now_ms=now_ms, ftp_only=known.ftp_only)
    if known.role is Role.CAMERA:
        _set_update_key(connection, name, issue=not known.ftp_only)
    return secret


def update_key(connection: Connection, name: str) -> str | None:
    """Return the key (64 hex digits) by which a camera's firmware is signed; None for who takes none."""
    return connection.execute(select(schema.camera.c.update_key).where(schema.camera.c.name == name)).scalar()


def revoke(connection: Connection, *, name: str, now_ms: int) -> None:
    """Void an account. Its photos and its history stay.

    Raises:
        NotFoundError: there is no such account, or it is revoked already.
    """
    rows = connection.execute(
        update(schema.account)
        .where(schema.account.c.name == name, schema.account.c.revoked_at_ms.is_(None))
        .values(revoked_at_ms=now_ms)
        .returning(schema.account.c.role)
    )
    role = rows.scalar_one_or_none()
    if role is None:
        raise NotFoundError(f"there is no account {name!r}")
    if role == Role.CAMERA:
        _set_update_key(connection, name, issue=False)
        events.append(connection, Kind.CAMERA_REVOKED, at_ms=now_ms, camera=name)
    _bump(connection)


def get(connection: Connection, name: str) -> Account | None:
    """Return one account, revoked or not."""
    if not SLUG.fullmatch(name):
        return None
    row = connection.execute(select(schema.account).where(schema.account.c.name == name)).one_or_none()
    return None if row is None else _account(row)


def active(connection: Connection, *, role: Role | None = None) -> list[Account]:
    """Return the accounts that are not revoked, by name."""
    query = select(schema.account).where(schema.account.c.revoked_at_ms.is_(None)).order_by(schema.account.c.name)
    if role is not None:
        query = query.where(schema.account.c.role == role)
    return [_account(row) for row in connection.execute(query)]


def revision(connection: Connection) -> int:
    """Return a number that has grown when any account was added, changed or revoked."""
    query = select(schema.revision.c.number).where(schema.revision.c.name == "account")
    return connection.execute(query).scalar() or 0


def create_token(connection: Connection, *, name: str, role: Role, now_ms: int) -> tuple[Token, str]:
    """Add a bearer token; return it with its secret, which is kept nowhere.

    Raises:
        ConflictError: the role is none of reader and operator, or a token of this name is in use.
    """
    if role not in {Role.READER, Role.OPERATOR}:
        raise ConflictError("a token is a reader's or an operator's")
    taken = select(schema.token.c.id).where(schema.token.c.name == name, schema.token.c.revoked_at_ms.is_(None))
    if connection.execute(taken).first():
        raise ConflictError(f"there is a token {name!r} already: choose another name, or revoke it first")
    secret = new_token()
    token = Token(id=new_photo_id(), name=name, role=role, created_at_ms=now_ms, revoked_at_ms=None)
    connection.execute(
        insert(schema.token).values(id=token.id, name=name, role=role, sha256=token_hash(secret), created_at_ms=now_ms)
    )
    return token, secret


def find_token(connection: Connection, secret: str) -> Token | None:
    """Return the valid token of this secret."""
    query = select(schema.token).where(
        schema.token.c.sha256 == token_hash(secret), schema.token.c.revoked_at_ms.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _token(row)


def tokens(connection: Connection) -> list[Token]:
    """Return the tokens in use, oldest first."""
    query = select(schema.token).where(schema.token.c.revoked_at_ms.is_(None)).order_by(schema.token.c.created_at_ms)
    return [_token(row) for row in connection.execute(query)]


def revoke_token(connection: Connection, *, name: str, now_ms: int) -> None:
    """Void the token of this name.

    Raises:
        NotFoundError: there is none.
    """
    rows = connection.execute(
        update(schema.token)
        .where(schema.token.c.name == name, schema.token.c.revoked_at_ms.is_(None))
        .values(revoked_at_ms=now_ms)
    )
    if rows.rowcount == 0:
        raise NotFoundError(f"there is no token {name!r}")


def _put(connection: Connection, *, name: str, role: Role, secret: str, now_ms: int, ftp_only: bool) -> None:
    values: dict[str, Any] = {
        "role": role,
        "ftp_only": ftp_only,
        "mqtt_hash": mosquitto_hash(secret),
        "bcrypt_hash": bcrypt_hash(secret),
        "created_at_ms": now_ms,
        "revoked_at_ms": None,
    }
    row = upsert(schema.account).values(name=name, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=values))
    _bump(connection)


def _set_update_key(connection: Connection, name: str, *, issue: bool) -> None:
    key = secrets.token_hex(_UPDATE_KEY_BYTES) if issue else None
    connection.execute(update(schema.camera).where(schema.camera.c.name == name).values(update_key=key))


def _bump(connection: Connection) -> None:
    row = upsert(schema.revision).values(name="account", number=1)
    connection.execute(
        row.on_conflict_do_update(index_elements=["name"], set_={"number": schema.revision.c.number + 1})
    )


def _account(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        role=Role(row.role),
        ftp_only=row.ftp_only,
        mqtt_hash=row.mqtt_hash,
        bcrypt_hash=row.bcrypt_hash,
        created_at_ms=row.created_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created_at_ms=row.created_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )


def _article(role: Role) -> str:
    return f"an {role}" if role is Role.OPERATOR else f"a {role}"
