"""Printing: a table for people, JSON for programs."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast


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
        first, *more = _words(value)
        print(f"{name.ljust(width)}  {first}")
        for line in more:
            print(f"{'':{width}}  {line}")


def _words(value: Any) -> list[str]:
    """Return a value as lines for people; a mapping as they would be typed after `configure`."""
    match value:
        case None:
            return ["unknown"]
        case bool():
            return ["yes" if value else "no"]
        case Mapping():
            pairs = cast("Mapping[str, Any]", value)
            return [f"{name}={_plain(one)}" for name, one in sorted(pairs.items())] or ["none"]
        case list():
            return [str(one) for one in cast("list[Any]", value)] or ["none"]
        case _:
            return [str(value)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def local_time(at_ms: int | None) -> str | None:
    """Return an instant in the machine's own time zone."""
    return None if at_ms is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))
