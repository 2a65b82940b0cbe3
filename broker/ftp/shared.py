"""What the sessions of one server share. Belongs to the event loop's thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aperture.settings import FtpSettings
from aperture.tls.files import LiveContext
from broker.ftp.accounts import Accounts
from broker.ftp.batch import Kit
from broker.ftp.commit import Committer
from broker.ftp.partials import Partials
from broker.ftp.paths import CameraRoot, ForeignRoot, Root
from broker.ftp.uploads import Target
from broker.ration import Ration

if TYPE_CHECKING:
    from aperture.store.accounts import Account
    from broker.ftp.control import Control
    from broker.ftp.session import Session

_BUFFER_BYTES = 256 * 1024
_REFUSALS_PER_S = 5
_STRANGERS_SHARE = 4
_FEW_STRANGERS = 8


@dataclass(kw_only=True, eq=False)
class Shared:
    """The parts, and who is doing what.

    `active` has the session that is receiving each upload; `committing` those that the commit thread has now, whose
    files nobody else may touch; `begun` the partials whose every byte came since the server was started. `strangers`
    have not logged in, the one who came first being first.
    """

    settings: FtpSettings
    kit: Kit
    accounts: Accounts
    committer: Committer
    firmware_dir: Path | None
    tls: LiveContext | None
    sessions: set[Session] = field(default_factory=set["Session"])
    active: dict[Target, Session] = field(default_factory=dict[Target, "Session"])
    committing: set[Target] = field(default_factory=set[Target])
    begun: set[Target] = field(default_factory=set[Target])
    strangers: dict[Control, None] = field(default_factory=dict["Control", None])
    refusals: Ration = field(default_factory=lambda: Ration(per_s=_REFUSALS_PER_S))
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

    def make_room(self) -> None:
        """Turn out those who have waited longest without logging in: they may hold a quarter of the sessions."""
        most = max(_FEW_STRANGERS, self.settings.max_connections // _STRANGERS_SHARE)
        while len(self.strangers) > most:
            next(iter(self.strangers)).turn_out("421 Too many connections without a login.")

    def evict(self, target: Target, newcomer: Session) -> None:
        """Close another session's upload of the same file: its peer is gone, or it would not be sent again."""
        ghost = self.active.get(target)
        if ghost is not None and ghost is not newcomer:
            ghost.give_way()
