"""Where photos are kept: on the card, and on flash when there is none, or once it takes no more."""

from aa import files, log
from aa.notes import Notes
from aa.queue import Queue
from aa.shelf import Shelf

_ON_FLASH = {"keep": 4, "free_percent": 25, "free_most_kb": 1024}


class Storage:
    """The queue on the card at `card` (None: there is none) and on flash, where `most_on_flash` photos may wait."""

    def __init__(self, card, flash, most_on_flash):
        self._card = _open_card(card)
        on_flash = Shelf("Flash", flash + "/photos", flash + "/queue", most_on_flash, **_ON_FLASH)
        if self._card and on_flash.places:  # it was without a card, or with one that took no photo
            self._card.failed = not _takes_files(self._card.folder)
        self._found_failing = self._card is None or self._card.failed
        shelves = [on_flash] if self._card is None else [self._card, on_flash]
        self.folder = shelves[0].folder
        self.queue = Queue(shelves, Notes(flash + "/notes.json"))

    @property
    def card(self):
        """How the card is: "ok", "failed" (it takes no photo), or None (there is none)."""
        return self._card and ("failed" if self._card.failed else "ok")

    @property
    def is_failing(self):
        """Whether the card has stopped taking photos since boot: they go to flash, and the next boot sees to it."""
        return not self._found_failing and self._card.failed


def _open_card(folder):
    if folder is None:
        return None
    try:
        return Shelf("Card", folder + "/photos", folder + "/queue")
    except OSError as cause:
        log.error("card unreadable: photos wait on flash", why=log.words(cause))
        return None


def _takes_files(folder):
    try:
        files.write_whole(folder + "/probe", b"")
    except OSError as cause:
        log.error("card takes no photo: they wait on flash", why=log.words(cause))
        return False
    files.remove(folder + "/probe")
    return True
