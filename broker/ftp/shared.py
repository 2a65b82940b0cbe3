"""What the sessions of one server share. Belongs to the event loop's thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aperture.settings import FtpSettings
from broker.ftp.accounts import Accounts
from broker.ftp.batch import Kit
from broker.ftp.commit import Committer
from broker.ftp.partials import Partials
from broker.ftp.paths import CameraRoot, ForeignRoot, Root
from broker.ftp.uploads import Target

if TYPE_CHECKING:
    from aperture.store.accounts import Account
    from broker.ftp.session import Session

_BUFFER_BYTES = 256 * 1024


@dataclass(kw_only=True, eq=False)
class Shared:
    """The parts, and who is doing what.

    `active` has the session that is receiving each upload; `committing` those that the commit thread has now, whose
    files nobody else may touch; `begun` the partials whose every byte came since the server was started.
    """

    settings: FtpSettings
    kit: Kit
    accounts: Accounts
    committer: Committer
    firmware_dir: Path | None
    sessions: set[Session] = field(default_factory=set["Session"])
    active: dict[Target, Session] = field(default_factory=dict[Target, "Session"])
    committing: set[Target] = field(default_factory=set[Target])
    begun: set[Target] = field(default_factory=set[Target])
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_BUFFER_BYTES)))

    @property
    def partials(self) -> Partials:
        """Where unfinished uploads are."""
        return self.kit.partials

    def root(self, account: Account) -> Root:
        """Return what an account sees."""
        return ForeignRoot(account.name) if account.ftp_only else CameraRoot(account.name, self.firmware_dir)

    def is_busy(self, target: Target) -> bool:
        """Whether an upload of this file is being received or committed."""
        return target in self.active or target in self.committing

    def evict(self, target: Target, newcomer: Session) -> None:
        """Close another session's upload of the same file: its peer is gone, or it would not be sent again."""
        ghost = self.active.get(target)
        if ghost is not None and ghost is not newcomer:
            ghost.give_way()
