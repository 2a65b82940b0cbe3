"""Where photos are kept: on the card, and on flash when there is none, or once it takes no more."""

from aa import board, log, rescue
from aa.queue import Queue


class Storage:
    """Opens the queue in `folder`, the card's or flash; `keep` writes a photo down wherever that is possible."""

    def __init__(self, folder):
        self.folder, self.queue = _open(folder)
        self._spare = None

    @property
    def is_failing(self):
        """Whether a photo had to go to flash: the next boot sees to it, and to the card."""
        return self._spare is not None

    async def keep(self, frame, facts, captured):
        """Write a photo down and return its entry, on flash when the card takes it no more.

        Raises:
            StorageFull: there is no room for it.
            OSError: neither takes it.
        """
        try:
            return await self.queue.add(frame, facts, captured)
        except OSError as cause:
            if self.folder == board.FLASH_FOLDER:
                raise
            log.error("card takes no photo: it goes to flash", cause)
        if self._spare is None:
            self._spare = Queue(board.FLASH_FOLDER)
        facts["seq"] = max(facts["seq"], self._spare.next_seq())
        return await self._spare.add(frame, facts, captured)


def _open(folder):
    """Return (folder, queue): on the card, or on flash when the card can be mounted but not used."""
    try:
        if rescue.move_photos(board.FLASH_FOLDER, folder):
            return folder, Queue(folder)
        log.error("card takes no photo: photos wait on flash")
    except OSError as cause:
        if folder == board.FLASH_FOLDER:
            raise
        log.error("card unreadable: photos wait on flash", cause)
    return board.FLASH_FOLDER, Queue(board.FLASH_FOLDER)
