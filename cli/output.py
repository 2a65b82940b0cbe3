"""Printing: a table for people, JSON for programs."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any


def emit(data: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(data, indent=2, default=str))


def table(rows: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """Print rows under the names of their columns; `empty` says what to do when there are none."""
    if not rows:
        print(empty)
        return
    columns = list(rows[0])
    cells = [columns, *[["" if row[column] is None else str(row[column]) for column in columns] for row in rows]]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def facts(pairs: Mapping[str, Any]) -> None:
    """Print one fact a line."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        print(f"{name.ljust(width)}  {'unknown' if value is None else value}")


def local_time(at_ms: int | None) -> str | None:
    """Return an instant in the machine's own time zone."""
    return None if at_ms is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))
