"""Folders, names and deletion: make-believe, by the rules of the session's root (`paths`)."""

# pyftpdlib has no annotations: what pyright can't know about its classes is not an error of ours.
# pyright: reportUnknownMemberType=false, reportUninitializedInstanceVariable=false

from __future__ import annotations

from collections.abc import Callable

from broker.ftp.errors import RefusedError
from broker.ftp.paths import absolute
from broker.ftp.secure import Secure


class Folders(Secure):
    """A session as far as it needs no bytes."""

    def ftp_CWD(self, path: str) -> None:  # noqa: N802 - pyftpdlib finds commands by name
        """Change the current folder."""

        def enter(full: str) -> None:
            self.root.enter(full)
            self.cwd = full

        self._answer(path or "/", enter, "250 Done.")

    def ftp_CDUP(self, path: str) -> None:  # noqa: N802
        """Go to the parent folder."""
        del path
        self.ftp_CWD("..")

    def ftp_MKD(self, path: str) -> None:  # noqa: N802
        """Make a folder."""
        quoted = path.replace('"', '""')
        self._answer(path, self.root.make_folder, f'257 "{quoted}" is there.')

    def ftp_RMD(self, path: str) -> None:  # noqa: N802
        """Remove a folder."""
        self._answer(path, self.root.remove_folder, "250 Done.")

    def ftp_DELE(self, path: str) -> None:  # noqa: N802
        """Delete a file."""
        self._answer(path, self.root.delete, "250 Done.")

    def ftp_RNFR(self, path: str) -> None:  # noqa: N802
        """Take the name that is to be changed."""

        def choose(full: str) -> None:
            self._rnfr = None
            self.root.rename(full, None)
            self._rnfr = full

        self._answer(path, choose, "350 And the new name?")

    def ftp_RNTO(self, path: str) -> None:  # noqa: N802
        """Take the new name."""
        old, self._rnfr = self._rnfr, None
        if old is None:
            self.respond("503 Send RNFR first.")
        else:
            self._answer(path, lambda full: self.root.rename(old, full), "250 Done.")

    def _answer(self, path: str, work: Callable[[str], None], reply: str) -> None:
        try:
            work(absolute(self.cwd, path))
        except RefusedError as refused:
            reply = refused.reply
        self.respond(reply)
