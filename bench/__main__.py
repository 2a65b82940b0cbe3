"""`make bench`: one JSON object a line; names as arguments run only those (`python -m bench latency`)."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from bench import fleet, heap, latency, memory, press, throughput, tls

BENCHES: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "latency": latency.run,
    "throughput": throughput.run,
    "memory": memory.run,
    "tls": tls.run,
    "press": press.run,
    "heap": heap.run,
    "fleet": fleet.run,
}


def main(names: list[str]) -> None:
    """Run the named benches, or all."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    unknown = set(names) - set(BENCHES)
    if unknown:
        sys.exit(f"no bench {', '.join(sorted(unknown))}: there are {', '.join(BENCHES)}")
    for name in names or BENCHES:
        for figure in BENCHES[name]():
            print(json.dumps({"bench": name, **figure}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
