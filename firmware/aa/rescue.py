"""Photos that went to flash because the card was missing move to the card once it is back: nothing is left behind."""

import os

from aa import files, log

_CHUNK_BYTES = 4096


def _copy(source, target):
    with open(source, "rb") as old, open(target, "wb") as new:
        while True:
            chunk = old.read(_CHUNK_BYTES)
            if not chunk:
                break
            new.write(chunk)
        new.flush()


def move_photos(source, target):
    """Move whole photos from folder `source` to `target`, picture first; a power cut leaves them in either, or both."""
    if source == target:
        return
    try:
        markers = [item[0] for item in os.ilistdir(source) if item[0].endswith(".json")]
    except OSError:
        return  # there never was one
    files.make_folder(target)
    for marker in sorted(markers):
        picture = marker[: -len(".json")] + ".jpg"
        try:
            _copy(source + "/" + picture, target + "/" + picture)
            _copy(source + "/" + marker, target + "/" + marker + ".tmp")
            os.rename(target + "/" + marker + ".tmp", target + "/" + marker)
        except OSError as cause:
            log.error("a photo stays on flash", why=log.words(cause), photo=picture)
            return
        files.sync()
        files.remove(source + "/" + marker)
        files.remove(source + "/" + picture)
        log.info("photo moved to the card", photo=picture)
