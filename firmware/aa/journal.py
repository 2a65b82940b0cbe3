"""Which commands were begun and what became of them, on flash, so that none is acted on twice.

A command's id is written down before it is acted on. The server repeats a command until it has the reply: a known id
is answered again with what is remembered, whatever happened in between.
"""

from aa import files, log

_REMEMBERED = 32


class Journal:
    """The last 32 commands in the file at `path`."""

    def __init__(self, path):
        self._path = path
        known = files.read_json(path, [])
        self._records = [record for record in known if isinstance(record, dict) and "id" in record]

    def find(self, command):
        """Return the record of a command id, or None: a dict with id, do, and once it is over ok, error, detail."""
        for record in self._records:
            if record["id"] == command:
                return record
        return None

    def begin(self, command, do):
        """Write down that a command is about to be acted on.

        Raises:
            OSError: it could not be, and is not to be acted on.
        """
        records = self._with({"id": command, "do": do})
        files.write_json(self._path, records)
        self._records = records

    def finish(self, command, ok, error=None, detail=None):
        """Write down what became of it. Returns its record; it counts until the next boot when it can't be written."""
        record = self.find(command)
        if record is None:  # 32 others came meanwhile
            record = {"id": command}
            self._records = self._with(record)
        record.update({"ok": ok, "error": error, "detail": detail})
        try:
            files.write_json(self._path, self._records)
        except OSError as cause:
            log.error("outcome not written down", id=command, why=log.words(cause))
        return record

    def interrupted(self):
        """Return the records of commands that a reset cut off."""
        return [record for record in self._records if "ok" not in record]

    def _with(self, record):
        return self._records[1 - _REMEMBERED :] + [record]
