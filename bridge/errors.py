"""The errors of the bridge, as a tree.

BridgeError
├── LeaseLostError   another bridge may act now; this one has stopped
└── DiscordError     see `bridge.discord.errors`
"""


class BridgeError(Exception):
    """The root of what this package raises."""


class LeaseLostError(BridgeError):
    """The lease could not be renewed in time: another bridge may act now."""
