"""One line per event on the serial console: level, what happened, key=value. Never a secret."""

import sys


def _line(level, event, facts):
    print(level, event, " ".join("{}={}".format(key, value) for key, value in facts.items()))


def info(event, **facts):
    """Say that something happened as it should."""
    _line("I", event, facts)


def warning(event, **facts):
    """Say that something went wrong that the camera copes with by itself."""
    _line("W", event, facts)


def error(event, cause=None, **facts):
    """Say that something went wrong that someone should look at; with the traceback of `cause`."""
    _line("E", event, facts)
    if cause is not None:
        sys.print_exception(cause)


def words(cause):
    """Return an exception as a few words for a log line or a reply."""
    return "{}: {}".format(type(cause).__name__, cause).rstrip(": ")
