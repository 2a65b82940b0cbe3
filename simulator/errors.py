"""What the simulator raises."""


class SimulatorError(Exception):
    """The root of what this package raises."""


class NotAvailableError(SimulatorError):
    """This machine can't run a virtual camera; the text says why."""


class LibraryError(SimulatorError):
    """A MicroPython library could not be fetched, or is not the one that was asked for."""


class BundleError(SimulatorError):
    """A bundle of firmware can't be built; the text says why, and what to install."""


class FramesError(SimulatorError):
    """The folder of frames holds none."""


class GoneError(SimulatorError):
    """The process that the camera ran in has ended."""
