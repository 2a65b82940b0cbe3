"""What a command says when it can't do what it was asked."""


class CommandLineError(Exception):
    """The root of what this package raises; its sentence is all that the user sees."""


class AlreadyRunningError(CommandLineError):
    """Another process runs on the same data folder."""
