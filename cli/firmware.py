"""`aperture firmware …`: bundles of firmware, which cameras can be updated to over the network."""

import argparse
from pathlib import Path
from typing import Any

from aperture import bundles
from aperture.bundles import Bundle
from aperture.settings import Settings
from cli import output
from cli.errors import CommandLineError


def build(options: argparse.Namespace, settings: Settings) -> int:
    """Build a bundle of the firmware that came with this version."""
    from simulator import bundle as builder  # noqa: PLC0415 - the compiler is an extra
    from simulator.errors import BundleError  # noqa: PLC0415

    folder: Path = options.out or settings.firmware_dir
    try:
        built = builder.build(folder, version=options.version, compiled=not options.sources)
    except (BundleError, OSError) as error:
        raise CommandLineError(str(error)) from error
    if options.json:
        output.emit(_facts(built))
        return 0
    print(f"{built.name}: {len(built.manifest.files)} files, {_size(built) // 1024} KiB, in {built.folder}")
    if options.out is None:
        print(f"Give it to a camera: aperture camera ask NAME update bundle={built.name}")
    return 0


def list_all(options: argparse.Namespace, settings: Settings) -> int:
    """List the bundles that cameras can be updated to, newest first."""
    found = bundles.every(settings.firmware_dir)
    if options.json:
        output.emit([_facts(bundle) for bundle in found])
        return 0
    rows = [
        {
            "bundle": bundle.name,
            "version": bundle.manifest.version,
            "built": output.local_time(bundle.built_at_ms),
            "compiled": f"mpy {bundle.manifest.mpy}" if bundle.manifest.mpy else "no",
            "boards": " ".join(bundle.manifest.boards),
            "KiB": _size(bundle) // 1024,
        }
        for bundle in found
    ]
    output.table(rows, empty="No bundles yet: aperture firmware build")
    return 0


def _size(bundle: Bundle) -> int:
    return sum(file.bytes for file in bundle.manifest.files)


def _facts(bundle: Bundle) -> dict[str, Any]:
    return {
        "bundle": bundle.name,
        "version": bundle.manifest.version,
        "built_at_ms": bundle.built_at_ms,
        "mpy": bundle.manifest.mpy or None,
        "boards": bundle.manifest.boards,
        "files": len(bundle.manifest.files),
        "bytes": _size(bundle),
        "folder": bundle.folder,
    }
