"""What the two brokers that can be run as a child have in common, as the supervisor sees them."""

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aperture.settings import BrokerKind
from aperture.store.accounts import Account
from aperture.store.private_file import Owner


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Listeners:
    """All the places where it listens."""

    plain: Address
    tls: Address | None = None


class Engine(Protocol):
    """One broker program: how it is configured and called."""

    @property
    def kind(self) -> BrokerKind:
        """Which one it is."""
        ...

    @property
    def folder(self) -> Path:
        """Its working directory, and all that it writes."""
        ...

    @property
    def owner(self) -> Owner | None:
        """The user to run it as; None: the one who runs us."""
        ...

    @property
    def command(self) -> tuple[str, ...]:
        """The program's absolute path and its arguments."""
        ...

    @property
    def speaks_tls(self) -> bool:
        """Whether it can listen for TLS beside its plain listener; else `front` does it."""
        ...

    def prepare(self, listeners: Listeners) -> None:
        """Write all that does not depend on accounts. Called before each start.

        Raises:
            OSError: as the operating system says.
            TlsError: there is to be TLS, and no certificate.
        """
        ...

    def certify(self) -> bool:
        """Write a renewed certificate; a running broker takes it up on SIGHUP.

        Returns:
            Whether there was one.

        Raises:
            OSError: as the operating system says.
            TlsError: it is of no use; the one before stays.
        """
        ...

    def admit(self, accounts: list[Account]) -> None:
        """Write the accounts; a running broker takes them up on SIGHUP.

        Raises:
            OSError: as the operating system says.
        """
        ...

    def mend(self, lines: Iterable[str]) -> str | None:
        """After a start that failed with these log lines: repair what can be, and say what was done; else None."""
        ...

    def is_alarming(self, line: str) -> bool:
        """Whether a line of its log is worth a warning."""
        ...


def find_program(name: str) -> Path | None:
    """Return the absolute path of a program: beside our Python, on the PATH, or in a folder of system programs."""
    ours = str(Path(sys.executable).parent)
    found = (
        shutil.which(name, path=ours)
        or shutil.which(name)
        or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    )
    return None if found is None else Path(found).absolute()
