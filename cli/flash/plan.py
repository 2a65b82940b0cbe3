"""What has to be done to a board, in an order in which no moment is a bad one to pull the cable.

The firmware goes to the slot that does not run, so that the camera has its old firmware, whole, until the new one is.
What lies beside the slots is written under another name. Then one step on the board renames it all, the file that
says which slot runs at the end.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from cli.flash.errors import FlashFullError
from cli.flash.files import File, Firmware
from cli.flash.survey import FOLDERS, Survey
from simulator.firmware import SLOTS

SECRETS_FILE: Final = "/secrets.json"
SLOTS_FILE: Final = "/slots.json"
WHOLE: Final = "bundle.json"
TEMPORARY: Final = ".tmp"  # the launcher looks for /slots.json.tmp, too
_RESERVE: Final = 16 * 1024  # for what the camera writes itself: settings, commands, slots
_OURS_BESIDE: Final = ("/lib/ssd1306.py", "/lib/ssd1306.mpy", "/ssd1306.py")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order: `remove`, make `folders`, `copy` (file → path), `rename` (old, new), `clean`.

    `slot` is where the firmware is then, `unchanged` how many files are there already.
    """

    slot: str
    remove: list[str]
    folders: list[str]
    copy: list[tuple[File, str]]
    rename: list[tuple[str, str]]
    clean: list[str]
    unchanged: int
    switch: bool

    @property
    def size(self) -> int:
        """Bytes to copy."""
        return sum(file.size for file, _ in self.copy)


def make(firmware: Firmware, found: Survey) -> Plan:
    """Compare what is to be there with what is.

    Raises:
        FlashFullError: it does not fit.
    """
    slot, changed = _choose_slot(firmware, found)
    remove, copy = _slot_work(firmware, found, slot) if changed else ([], [])
    beside = [(file, path) for path, file in firmware.beside.items() if not _same(found, path, file)]
    copy += [(file, path + TEMPORARY) for file, path in beside]
    switch = slot != found.active_slot or (found.slots or {}).get("trial") is not None
    total = len(firmware.slot) + len(firmware.beside)
    plan = Plan(
        slot=slot,
        remove=remove,
        folders=_folders([path for _, path in copy]),
        copy=copy,
        rename=[(path + TEMPORARY, path) for _, path in beside],
        clean=_clean(firmware, found),
        unchanged=total - len(copy),
        switch=switch,
    )
    _check_room(plan, found)
    return plan


def _choose_slot(firmware: Firmware, found: Survey) -> tuple[str, bool]:
    """Return (slot, whether there is anything to do in it)."""
    active = found.active_slot
    if active is None:
        return SLOTS[0], True
    if _contents(found, active) == {name: file.digest for name, file in firmware.slot.items()}:
        return active, False
    return next(slot for slot in SLOTS if slot != active), True


def _contents(found: Survey, slot: str) -> dict[str, str]:
    top = f"/{slot}/"
    return {path.removeprefix(top): digest for path, (_, digest) in found.files.items() if path.startswith(top)}


def _slot_work(firmware: Firmware, found: Survey, slot: str) -> tuple[list[str], list[tuple[File, str]]]:
    """Return what to remove from a slot, and what to copy to it, the mark that it is whole first and last."""
    there = _contents(found, slot)
    stale = [name for name in there if name not in firmware.slot]
    new = [(file, name) for name, file in firmware.slot.items() if there.get(name) != file.digest or name == WHOLE]
    remove = [WHOLE, *[name for name in stale if name != WHOLE]] if WHOLE in there else stale
    return [f"/{slot}/{name}" for name in remove], [(file, f"/{slot}/{name}") for file, name in new]


def _clean(firmware: Firmware, found: Survey) -> list[str]:
    """Return what an earlier version left outside the slots, and a driver that would be taken before ours."""
    inside = tuple(f"/{slot}/" for slot in SLOTS)
    earlier = [path for path in found.files if path.startswith(FOLDERS) and not path.startswith(inside)]
    drivers = [path for path in _OURS_BESIDE if path in found.files and path not in firmware.beside]
    return [path for path in earlier if path.count("/") > 1] + drivers


def _same(found: Survey, path: str, file: File) -> bool:
    return path in found.files and found.files[path][1] == file.digest


def _folders(paths: list[str]) -> list[str]:
    """Return the folders of files, outer ones first."""
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents if str(folder) != "/"}
    return sorted(folders, key=lambda folder: (folder.count("/"), folder))


def _check_room(plan: Plan, found: Survey) -> None:
    """See to it that the board has room for the whole plan before anything is written."""

    def blocks(size: int) -> int:
        return -(-size // found.block) * found.block

    gone = sum(blocks(found.files[path][0]) for path in plan.remove if path in found.files)
    gone += sum(blocks(found.files[path][0]) for _, path in plan.copy if path in found.files)
    needed = sum(blocks(file.size) for file, _ in plan.copy) + (_RESERVE if plan.copy else 0)
    if needed > found.free + gone:
        waiting = f" {found.photos} photos wait on it: let the camera hand them over first." if found.photos else ""
        raise FlashFullError(
            f"the board's flash is full: the firmware needs {needed // 1024:,} KiB, {(found.free + gone) // 1024:,} "
            f"KiB are free.{waiting} Remove files of your own (mpremote fs tree -s :/ lists them), or start anew: "
            "esptool erase-flash, and the image again"
        )
