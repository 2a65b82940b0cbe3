"""The way into `aperture flash`: what it needs is an extra, and may not be installed."""

import argparse
import importlib.util
from importlib import import_module
from typing import Final

from aperture.settings import Settings
from cli.flash.errors import FlashError

_NEEDED: Final = ("serial", "mpremote", "unearth")


async def flash(options: argparse.Namespace, settings: Settings) -> int:
    """Flash a camera.

    Raises:
        FlashError: what it needs is not installed, or it did not work.
    """
    missing = [module for module in _NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        raise FlashError(f"{', '.join(missing)} is not installed: pip install 'aperture-archive[flash]'")
    status: int = await import_module("cli.flash.command").flash(options, settings)
    return status
