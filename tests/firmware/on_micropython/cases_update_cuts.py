"""An update on real FAT and LittleFS, cut after its writes in turn: what boots is whole, and the update goes on."""

import gc
import os
import sys

import cases_update
from aa import bundle, slots
from aa.bundle import Hash
from aa.update import Updater
from cases_update import FILES
from medium import Medium


class App(cases_update.App):
    """As there, with its flash in another folder."""

    def __init__(self, flash):
        self.flash = flash
        super().__init__()

    def start(self):
        slots._FILE = self.flash + "/slots.json"
        self.updater = Updater(self, self.flash)
        self.running = cases_update.asyncio.create_task(self.updater.run())


class _Below:
    """`os` as a launcher sees it whose flash is `root`."""

    def __init__(self, root):
        self._root = root

    def listdir(self, path):
        return os.listdir(self._root + path)

    def rename(self, old, new):
        os.rename(self._root + old, self._root + new)


def _launcher(root):
    """Return what the launcher defines, with `root` for its flash, and without running it."""
    folder = next(path for path in sys.path if path.endswith("/firmware"))
    with open(folder + "/main.py") as file:
        source = file.read()
    names = {"__name__": "main", "open": lambda path, mode="r": open(root + path, mode)}
    exec(source[: source.rindex("\nmain()")], names)
    names["os"] = _Below(root)
    return names


def _is_right(root):
    """Whether every file in a slot is what its bundle.json says."""
    with open(root + "/bundle.json", "rb") as file:
        wanted = bundle.parse(file.read(), "sim")[1]
    for one in wanted:
        digest = Hash()
        with open(root + "/" + one["path"], "rb") as file:
            digest.update(file.read())
        if not digest.is_of(one):
            return False
    return len(wanted) == len(FILES)


def _flash(kind):
    medium = Medium(kind).format().mount("/card")
    for folder in ("/card/a", "/card/a/aa", "/card/a/boards", "/card/b", "/card/b/aa"):
        os.mkdir(folder)
    for path, text in (
        ("slots.json", '{"active": "a", "trial": null}'),
        ("a/bundle.json", "{}"),
        ("b/bundle.json", '{"of": "the one before"}'),
        ("b/aa/app.py", "old"),
    ):
        with open("/card/" + path, "w") as file:
            file.write(text)
    medium.keep()
    return medium


async def _update(kind):
    """What boots after a cut is whole, and where the update is under way it goes on to its end."""
    booted = {"a": 0, "b": 0}
    medium = _flash(kind)
    app = App("/card")
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots"
    app.stop()
    for number, cut in medium.cuts(1, 1):
        cut.mount("/cut")
        slot, on_trial = _launcher("/cut")["choose"]()
        booted[slot] += 1
        assert on_trial == (slot == "b") and slot in os.listdir("/cut"), "after write {}".format(number)
        assert slot == "a" or _is_right("/cut/b"), "a torn slot boots after write {}".format(number)
        if slot == "a" and "update.json" in os.listdir("/cut"):
            app = App("/cut")
            assert await app.outcome() == "reboots", "it does not go on after write {}".format(number)
            app.stop()
            assert _is_right("/cut/b") and slots.on_trial() == "b"
        gc.collect()
    assert booted["a"] > 20 and booted["b"] > 0, booted


async def after_any_cut_on_fat_what_boots_is_whole_and_the_update_goes_on():
    await _update("fat12")


async def after_any_cut_on_littlefs_what_boots_is_whole_and_the_update_goes_on():
    await _update("littlefs")


def _confirmation(kind):
    """The trial is over or has another boot; the slot that boots is the new one either way."""
    medium = _flash(kind)
    slots._FILE = "/card/slots.json"
    sys.path.insert(0, "/a")
    os.mkdir("/card/b/boards")
    slots.start_trial()
    assert _launcher("/card")["choose"]() == ("b", True)
    sys.path.insert(0, "/b")
    medium.keep()
    slots.confirm()
    seen = []
    for _, cut in medium.cuts(1, 1):
        cut.mount("/cut")
        seen.append(_launcher("/cut")["choose"]())
    assert seen[0] == ("b", True) and seen[-1] == ("b", False)
    assert {slot for slot, _ in seen} == {"b"}, seen


def after_any_cut_on_fat_a_confirmation_has_happened_or_not():
    _confirmation("fat12")


def after_any_cut_on_littlefs_a_confirmation_has_happened_or_not():
    _confirmation("littlefs")
