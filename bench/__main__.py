"""`make bench`: one JSON object a line; names as arguments run only those (`python -m bench latency`)."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bench import latency, memory, throughput, tls

BENCHES: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "latency": latency.run,
    "throughput": throughput.run,
    "memory": memory.run,
    "tls": tls.run,
}


def main(names: list[str]) -> None:
    """Run the named benches, or all."""
    unknown = set(names) - set(BENCHES)
    if unknown:
        sys.exit(f"no bench {', '.join(sorted(unknown))}: there are {', '.join(BENCHES)}")
    for name in names or BENCHES:
        for figure in BENCHES[name]():
            print(json.dumps({"bench": name, **figure}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
