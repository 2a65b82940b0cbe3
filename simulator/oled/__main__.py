"""`python -m simulator.oled`: make anew the font, the pictures that tests compare with, and those of the documents."""

import sys
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.libraries import default_cache, ensure_libraries
from simulator.oled import art
from simulator.oled.documents import ROOT, documents, write_shots
from simulator.oled.shots import SHOTS, SMALL, draw


def main() -> int:
    """Write what changed, and say what."""
    art.write()
    try:
        drawn = draw(SHOTS + SMALL, libraries=ensure_libraries(default_cache()))
    except SimulatorError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 1
    changed: list[Path] = write_shots(drawn)
    for path, image in documents(drawn).items():
        image.save(path, "PNG", optimize=True)
        changed.append(path)
    print("\n".join(str(path.relative_to(ROOT)) for path in changed))  # noqa: T201
    return 0


sys.exit(main())
