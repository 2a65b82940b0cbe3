"""The two slots that firmware lies in, `/a` and `/b`: which one runs, and which is on trial.

`/main.py` reads the same file at each boot; it has the rules of a trial.
"""

import sys

from aa import files, log

_FILE = "/slots.json"


def running():
    """Return the slot that runs, "a" or "b"; None where there is no launcher."""
    for place in sys.path:
        if place in ("/a", "/b"):
            return place[1:]
    return None


def spare():
    """Return the slot that does not run, which an update may write to; None where there is no launcher."""
    return {"a": "b", "b": "a"}.get(running())


def on_trial():
    """Return the slot that is on trial, or None."""
    trial = files.read_json(_FILE, {}).get("trial")
    return trial.get("slot") if isinstance(trial, dict) else None


def start_trial():
    """Have the other slot run at the next boot, on trial.

    Raises:
        OSError: it can't be written down.
    """
    files.write_json(_FILE, {"active": running(), "trial": {"slot": spare(), "boots": 0}})


def confirm():
    """Make the slot that runs the active one when it is on trial: it has reached the broker."""
    if running() is None or on_trial() != running():
        return
    try:
        files.write_json(_FILE, {"active": running(), "trial": None})
        log.info("new firmware stays", slot=running())
    except OSError as cause:  # the next connect tries again
        log.error("trial can't be ended", cause)
