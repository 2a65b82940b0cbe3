"""What is handed from the event loop to the commit thread, and back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Target(NamedTuple):
    """What an upload is going to be.

    `key` names its partial file within the camera's own folder. `photo` is the id that one of our cameras gave; None
    for a foreign camera, whose own `name` for the file is kept instead.
    """

    camera: str
    key: str
    photo: str | None
    name: str | None


class Declared(NamedTuple):
    """What the client said of the whole file before sending it: `ALLO` and `SITE SHA256`."""

    bytes: int | None = None
    sha256: str | None = None


class Reply(NamedTuple):
    """The answer to an upload. `stored` is the photo's id when it is durable."""

    line: str
    stored: str | None = None


@dataclass(slots=True, kw_only=True)
class Upload:
    """A transfer whose data connection has ended: what came, and what was said of it. Instants are Unix ms."""

    target: Target
    path: str
    offset: int  # where in the file the data began: REST, or the partial's length for APPE
    received: int  # bytes that came
    sha256: str | None  # of what came, when that is all of it
    declared: Declared
    appended: bool
    scratch: bool  # the photo is stored already: the file at `path` has only what came, to be compared
    fresh: bool  # no byte of it was written before this server was started
    broken: bool  # the connection was reset rather than closed
    started_ms: int
    received_ms: int
    done: Callable[[Reply], None]  # called in the event loop
