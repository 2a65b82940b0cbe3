"""What must survive a power cut: rows (`database`, `schema`) and bytes (`blobs`).

The functions in `accounts`, `photos`, `events`, `outbox`, `mailbox`, `cameras` and `telemetry` take an open
connection, so that a caller joins as many of them as it wants in one transaction:

    database.write(lambda connection: photos.announce(connection, ...))
"""
