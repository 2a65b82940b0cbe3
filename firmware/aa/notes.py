"""What is noted of the photos on flash, whatever becomes of the card: how far they are numbered, and more."""

from aa import files, log
from aa.place import EACH

_MOST_TWINS = 16


class Notes:
    """The notes in the file at `path`. `next` is the number of the next photo."""

    def __init__(self, path):
        self._path = path
        noted = files.read_json(path, {})
        self._begun = noted.get("begun", 0)  # the highest folder of numbers that was begun
        self.twins = noted.get("twins", [])
        self.next = 1

    def skip(self, newest):
        """Go on after number `newest`, which is taken."""
        self.next = max(self.next, newest + 1)

    def settle(self):
        """Go on after what may be on a card that is not here; call it once all the newest that are here are known."""
        if self.next // EACH < self._begun:
            self.next = (self._begun + 1) * EACH

    def take(self, seq):
        """A photo is about to get this number."""
        self.skip(seq)
        if seq // EACH > self._begun:
            self._begun = seq // EACH
            self._write()

    def add_twin(self, digest):
        """The picture with this SHA-256 was written elsewhere; what a failing card may have of it is no other photo."""
        self.twins = self.twins[1 - _MOST_TWINS :] + [digest]
        self._write()

    def _write(self):
        try:
            files.write_json(self._path, {"begun": self._begun, "twins": self.twins})
        except OSError as cause:
            log.error("notes not written down", why=log.words(cause))
