"""Links MQTT events and FTP completions, and posts photos to Discord.

| for | read |
|---|---|
| the whole, and how it starts and ends | `service` |
| one bridge at a time | `tenure` |
| what cameras say and hear | `mqtt` |
| from a stored photo to its message | `outbox` |
| Discord's webhooks, without the rows | `discord` |
| who is told what happened | `feed` |
| deadlines, and what is dropped | `housekeeping` |
| how long it waits for what | `tuning` |
"""
