"""What the client side of Discord raises, below the bridge's own root.

DiscordError
└── WebhookUrlError   a webhook's URL is not one of Discord's
"""

from bridge.errors import BridgeError


class DiscordError(BridgeError):
    """The root of what this package raises."""


class WebhookUrlError(DiscordError, ValueError):
    """A webhook's URL is not one that Discord gives out; says what is expected, never the token."""
