"""The client side of Discord: one attempt at a time, its outcome, its limits. Nothing here remembers across restarts.

| for | read |
|---|---|
| a webhook's URL | `webhook` |
| one attempt to post, edit, delete | `client` |
| what came of it | `outcomes` |
| when the next attempt may be made | `limiter` |
| what a photo looks like in Discord | `render` |
"""

from bridge.discord.webhook import parse_webhook_url

__all__ = ["parse_webhook_url"]
