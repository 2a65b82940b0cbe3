"""`python -m simulator.discord --port 0`: prints one line of JSON with the URLs, serves until SIGINT or SIGTERM."""

import argparse
import asyncio
import signal
import sys

import orjson

from simulator.discord.control import Control
from simulator.discord.limits import UNLIMITED, Limits
from simulator.discord.stand_in import DiscordStandIn


def main() -> None:
    """Run the stand-in as a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m simulator.discord", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes any free one")
    parser.add_argument("--limits", action="store_true", help="limit as Discord does (default: not at all)")
    parser.add_argument("--any-user-agent", action="store_true", help="take requests that Discord's edge would block")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    limits = Limits() if options.limits else UNLIMITED
    async with DiscordStandIn(
        port=options.port, limits=limits, strict_user_agent=not options.any_user_agent
    ) as stand_in:
        sys.stdout.buffer.write(orjson.dumps(Control(stand_in).urls()) + b"\n")
        sys.stdout.buffer.flush()
        await stop.wait()


if __name__ == "__main__":
    main()
