"""Files as scripts that write them on the board, a few kilobytes each: parcels, for `mpremote run`.

mpremote's own `cp` sends 256 bytes, as a literal of up to four times that, and waits for an answer before the next:
a firmware of 120 KiB took it some thousand such rounds.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

WRITTEN: Final = "written "
"""What the board prints before a file's path once all of it is there, as it was sent."""
DAMAGED: Final = "damaged on the way"
_PIECE: Final = 1024  # bytes of a file in one line of a script
_PARCEL: Final = 4  # pieces in one script: a second or less on a cable of 115,200 baud

# The board's variables outlive a script: a file may begin in one parcel and end in the next.
_FIRST: Final = f"""
import hashlib
from binascii import a2b_base64
def begin(path):
    global file, digest
    file, digest = open(path, "wb"), hashlib.sha256()
def more(text):
    part = a2b_base64(text)
    file.write(part)
    digest.update(part)
def end(path, expected):
    file.close()
    if digest.digest() != a2b_base64(expected):
        raise OSError("{DAMAGED}: " + path)
    print("{WRITTEN}" + path)
"""


def pack(files: Iterable[tuple[Path, str]], folder: Path) -> list[Path]:
    """Write the scripts that put files (source, path on the board) there, one after another, and return them in order.

    They are readable by their owner alone: a file may hold secrets.
    """
    lines = [line for source, path in files for line in _lines(source.read_bytes(), path)]
    bodies = [_FIRST, *("\n".join(lines[at : at + _PARCEL]) for at in range(0, len(lines), _PARCEL))]
    return [_script(folder / f"parcel-{number}.py", body) for number, body in enumerate(bodies)]


def _lines(content: bytes, path: str) -> Iterator[str]:
    """Return one line for each piece of a file; the first and the last do what comes before and after it, too."""
    pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)] or [b""]
    lines = [f"more({_text(piece)!r})" for piece in pieces]
    lines[0] = f"begin({path!r}); {lines[0]}"
    lines[-1] += f"; end({path!r}, {_text(hashlib.sha256(content).digest())!r})"
    yield from lines


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _script(path: Path, body: str) -> Path:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(body)
    return path
