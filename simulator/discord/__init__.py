"""A stand-in for Discord's webhooks: checks what Discord checks, limits as it limits, and misbehaves when told to.

It serves the demo (its page shows the posts), the tests and the bench. `stand_in.DiscordStandIn` is the way in from
Python, `python -m simulator.discord` the way in for a process of its own, `control` its admin endpoint. What it
refuses is told in `rules` and `multipart`, what it can be made to do wrong in `faults`.
"""
