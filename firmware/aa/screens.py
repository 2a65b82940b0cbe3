"""What the display shows: one function each, from a plain `view` of what matters, drawn on a `page`.

A view is a dict. Each has what the header says: name, bars (signal, 0 to 4; 0 is no network), battery (percent, or None
where nobody can know) and plugged. What else a screen wants is in its docstring. `face` decides which one is shown.
"""

from aa import glyphs
from aa.lettering import width_of

_TITLE_PX = 94


def _photos(number):
    return "1 photo" if number == 1 else "{} photos".format(number)


def _duration(ms):
    if ms < 60_000:
        return "{}.{} s".format(ms // 1000, ms // 100 % 10)
    return "{} min".format(ms // 60_000) if ms < 5_400_000 else "{} h".format((ms + 1_800_000) // 3_600_000)


def boot(page, view):
    """Who this is: version and board."""
    shape = glyphs.SHUTTER if page.tall else glyphs.APERTURE
    page.say(view["name"])
    page.say(view["version"] + " · " + view["board"])
    page.icon(shape, 2, (page.height - shape[1]) // 2)
    details = [view["version"], view["board"]] if page.tall else [view["version"] + " · " + view["board"]]
    page.column(view["name"], details, shape[0] + 10, 0, page.height, 2 if page.tall else 1)


def connecting(page, view):
    """The way to the server: step (0 Wi-Fi, 1 broker, 2 photos), where (a network or host), attempt, and trouble.

    That is what went wrong at the last attempt and what to do, or None while there is another.
    """
    page.header(view)
    details = ["connecting…" if view["attempt"] < 2 else "connecting, try {}".format(view["attempt"])]
    if view["trouble"]:
        details = list(view["trouble"])
    if view["step"]:
        details.insert(0, view["where"])
    title = "Server" if view["step"] else view["where"]
    page.card(glyphs.CLOUD if view["step"] else glyphs.WIFI, title, details[: 2 if page.tall else 1], 1, 6)
    page.steps(view["step"], 3)


def ready(page, view):
    """All is well: queue, and note, something that the owner should know some time, or ""."""
    page.header(view)
    waiting = _photos(view["queue"]) + " to send" if view["queue"] else "all photos sent"
    page.card(glyphs.APERTURE, "Ready", [view["note"] or waiting])
    if not page.tall:
        page.gauges(view, 1)


def flash(page, view):
    """The shutter has been released."""
    page.say(view["name"])
    page.say("Photo!")
    page.inverse = True
    shape = glyphs.SHUTTER if page.tall else glyphs.APERTURE
    page.icon(shape, (page.width - shape[0]) // 2, (page.height - shape[1]) // 2)


def uploading(page, view):
    """A photo is on its way: number, percent, queue (how many wait, this one too)."""
    page.header(view)
    notes = ["uploading", "photo {}".format(view["number"])]
    if view["queue"] > 1:
        notes.append("{} more".format(view["queue"] - 1))
    page.say("{} {}".format(*notes))
    page.say("{}%".format(view["percent"]))
    page.say(" ".join(notes[2:]))
    page.share(view["percent"], notes)


def _arrived(page, view, icon, title):
    page.header(view)
    after = view["after_ms"]
    took = "" if after is None else " in " + _duration(after)
    page.card(icon, title, ["photo {}".format(view["number"]) + took])


def in_discord(page, view):
    """It can be seen: number, and after_ms, how long after the press, or None."""
    _arrived(page, view, glyphs.BUBBLE, "In Discord")


def stored(page, view):
    """The server has it: number, after_ms."""
    _arrived(page, view, glyphs.CHECK, "Stored")


def queued(page, view):
    """No server in reach: queue, and why, in a word or two, or ""."""
    page.header(view)
    title, detail = _photos(view["queue"]), "will send when online"
    if width_of(title, 2) > _TITLE_PX:
        title, detail = title.split()[0], "photos to send later"
    page.card(glyphs.PHOTOS, title, [detail, view["why"]] if view["why"] and page.tall else [detail])


def error(page, view):
    """The owner is needed: trouble (what is wrong, what to do), queue."""
    page.header(view)
    wrong, remedy = view["trouble"]
    page.card(glyphs.WARNING, wrong, [], 2, 13 if page.tall else 11)
    page.action(remedy, "{} waiting".format(view["queue"]) if view["queue"] else "")


def sleeping(page, view):
    """Good night: until ("till 14:05", "for 2 h", or "" where only a press wakes it)."""
    page.header(view)
    page.card(glyphs.MOON, "Sleeping", [view["until"] + ", or press" if view["until"] else "press to wake"])


def updating(page, view):
    """New firmware comes: version, percent."""
    page.header(view)
    share = "{}% of {}".format(view["percent"], view["version"])
    page.card(glyphs.DOWNLOAD, "Update", [share], 1, 12 if page.tall else 7)
    page.bar(view["percent"])


def identify(page, view):
    """Here I am."""
    page.banner(view["name"])
