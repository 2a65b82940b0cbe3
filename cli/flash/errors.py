"""What flashing fails with: sentences that say what is wrong and what to do."""

from cli.errors import CommandLineError


class FlashError(CommandLineError):
    """The camera is not flashed, or not online; the sentence says why, and what to do."""


class CableError(FlashError):
    """The board went away in the middle: worth another try, which goes on where this one ended."""


class FlashFullError(FlashError):
    """The board's flash has no room."""
