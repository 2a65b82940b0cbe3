"""From the rows to Discord: photos are claimed, posted, and their outcome is written down.

| for | read |
|---|---|
| the loop, from an event to a post | `loop` |
| the webhook, opened and closed | `destination` |
| which photo may go next, and when | `lanes` |
| one attempt and what becomes of it | `poster` |
| a photo that is too large | `shrink` |
"""
