"""The errors of the bridge, as a tree.

BridgeError
├── WebhookUrlError   the webhook's URL in the settings can't be read
└── LeaseLostError    another bridge acts now; this one has stopped
"""


class BridgeError(Exception):
    """The root of what this package raises."""


class WebhookUrlError(BridgeError):
    """The webhook's URL can't be read; the words tell what is wrong and never repeat it."""


class LeaseLostError(BridgeError):
    """The lease could not be renewed in time: another bridge may act now."""
