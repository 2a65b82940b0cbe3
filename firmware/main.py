"""The launcher: runs one of two slots of firmware, `/a` or `/b`. An update never changes it.

`/slots.json` says which is active, and which is on trial: for two boots (each start counts, a wake from sleep too) of
five minutes, and what photos under way then take, unless it reached the broker and so became active (`aa/slots.py`).
"""

import asyncio
import json
import os
import sys
import time

import machine

_FILE, _NEW_FILE, _MENDED_FILE = "/slots.json", "/slots.json.tmp", "/slots.json.new"  # `aa/files.py` has the last
_MOST_BOOTS, _TRIAL_MS, _AGAIN_MS, _PHOTOS_MS = 2, 300_000, 10_000, 600_000


def read():
    """Return (active slot, trial or None). After a power cut on FAT it may have another name."""
    for path in (_FILE, _NEW_FILE, _MENDED_FILE):
        try:
            with open(path) as file:
                slots = json.load(file)
            active, trial = slots["active"], slots["trial"]
            if active in ("a", "b") and (trial is None or (trial["slot"] in ("a", "b") and trial["boots"] >= 0)):
                return active, trial
        except (OSError, ValueError, KeyError, TypeError):
            pass
    return "a", None


def write(active, trial):
    """Replace the file. A power cut, or flash that takes no more, leaves the old one or the new one."""
    try:
        with open(_NEW_FILE, "w") as file:
            json.dump({"active": active, "trial": trial}, file)
        os.rename(_NEW_FILE, _FILE)
    except OSError as cause:
        sys.print_exception(cause)


def is_whole(slot):
    """Whether all of a slot is there: its bundle.json is written last."""
    return slot in os.listdir("/") and {"aa", "boards", "bundle.json"} <= set(os.listdir("/" + slot))


def choose():
    """Return (slot to run, whether it is on trial). A boot that can't be counted is none of a trial."""
    active, trial = read()
    if trial and trial["boots"] < _MOST_BOOTS and is_whole(trial["slot"]):
        trial["boots"] += 1
        write(active, trial)
        if read()[1] == trial:
            return trial["slot"], True
    give_up("it never reached the broker")
    other = "b" if active == "a" else "a"
    return (other if is_whole(other) and not is_whole(active) else active), False


def give_up(why):
    """End the trial, if there still is one."""
    active, trial = read()
    if trial:
        print("E new firmware fails, back to slot {}: {}".format(active, why))
        write(active, None)
    return bool(trial)


async def limit(app):
    """End this run when the trial still goes on by then, but not in the middle of a photo."""
    await asyncio.sleep_ms(_TRIAL_MS)
    if read()[1]:
        try:
            await asyncio.wait_for_ms(app.power.start_anew(), _PHOTOS_MS)
        finally:  # that firmware may be broken, or know of no such thing
            machine.reset()


def main():
    """Run a slot. One that fails says why, and is tried again by a reset; on trial it goes back to the other."""
    slot, on_trial = choose()
    sys.path.insert(0, "/" + slot)
    try:
        if on_trial:
            machine.WDT(timeout=_TRIAL_MS)  # for what hangs before it has set a watchdog of its own
        from aa.app import App

        app = App()
        if on_trial:
            asyncio.create_task(limit(app))  # noqa: RUF006 - MicroPython's loop holds its tasks itself
        asyncio.run(app.run())
    except Exception as cause:
        print("E camera does not start, slot " + slot)
        sys.print_exception(cause)
        if not (on_trial and give_up("it does not start")):
            time.sleep_ms(_AGAIN_MS)
    machine.reset()


main()
