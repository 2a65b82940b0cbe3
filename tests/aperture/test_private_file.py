"""What holds secrets, or is written as root, goes where it was meant to go, whatever links lie in wait."""

import os
from pathlib import Path

import pytest

from aperture.store import private_file
from aperture.store.private_file import Owner

NOBODY = Owner(65534, 65534)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def test_a_folder_is_closed_to_others(tmp_path: Path) -> None:
    """A new one, and one that was open before."""
    folder = tmp_path / "above" / "secrets"
    private_file.make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    private_file.make_folder(folder, mode=0o750)
    assert folder.stat().st_mode & 0o777 == 0o750


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    """Where a link lies in the folder's place nothing is changed, neither here nor where it leads."""
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    victim.chmod(0o755)
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OSError, match="link"):
        private_file.make_folder(tmp_path / "link")
    assert victim.stat().st_mode & 0o777 == 0o755


@root_only
def test_only_a_file_of_its_own_is_given_away(tmp_path: Path) -> None:
    """Not what a link leads to, and not a file that has another name elsewhere."""
    victim, linked, pipe, own = (tmp_path / name for name in ("victim", "linked", "pipe", "own"))
    victim.write_text("secret")
    linked.symlink_to(victim)
    with pytest.raises(OSError, match="linked"):
        private_file.hand_over(linked, owner=NOBODY)
    linked.unlink()
    linked.hardlink_to(victim)
    os.mkfifo(pipe)
    for path in (linked, pipe):
        with pytest.raises(OSError, match="not given away"):
            private_file.hand_over(path, owner=NOBODY)
    assert victim.stat().st_uid == os.geteuid()
    own.write_text("")
    private_file.hand_over(own, owner=NOBODY)
    private_file.hand_over(tmp_path / "absent", owner=NOBODY)
    assert own.stat().st_uid == NOBODY.uid
