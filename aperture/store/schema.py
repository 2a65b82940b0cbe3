"""The tables. Times are integers: Unix milliseconds, UTC (`*_at_ms`). Migrations are in `migrations/`.

`event` is the spine: whatever happens to a photo or a camera is one row, written in the same transaction as the
change itself. The outbox and the live feed are readers of it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows by itself only when the key is spelled INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

account = Table(
    "account",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("role", String(16), nullable=False),  # camera, reader, operator, server
    Column("ftp_only", Boolean, nullable=False, default=False),
    Column("mqtt_hash", Text, nullable=False),  # mosquitto's $7$ PBKDF2-SHA512; FTP checks it too
    Column("bcrypt_hash", Text, nullable=False),  # nats-server's
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
)

revision = Table(
    "revision",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""Counters that grow with each change of something that others keep a copy of, for example the accounts."""

token = Table(
    "token",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),  # reader, operator
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
)

camera = Table(
    "camera",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("presence", String(16), nullable=False, default="offline"),
    Column("presence_at_ms", BigInteger),
    Column("seen_at_ms", BigInteger),
    Column("next_wake_at_ms", BigInteger),
    Column("status", Text),  # the last telemetry, as JSON
    Column("status_at_ms", BigInteger),
    Column("config", Text),  # what was last asked for by `configure`, as JSON
    Column("update_key", String(64)),  # signs firmware for it: docs/adr/0007-update-keys.md says why in clear
    Column("created_at_ms", BigInteger, nullable=False),
)

photo = Table(
    "photo",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("camera", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # announced, missing, stored, suspect
    Column("origin", String(16), nullable=False),  # camera, ftp
    Column("seq", BigInteger),
    Column("trigger", String(300)),
    Column("command", String(32)),
    Column("name", String(255)),  # a foreign camera's own name for the file
    Column("taken_at_ms", BigInteger),
    Column("sort_at_ms", BigInteger, nullable=False),  # taken_at_ms, or the first that we heard of it
    Column("bytes", BigInteger),
    Column("sha256", String(64)),
    Column("width", Integer),
    Column("height", Integer),
    Column("manifest", Text),  # as the camera sent it
    Column("pressed_ms", BigInteger),
    Column("captured_ms", BigInteger),
    Column("announced_ms", BigInteger),
    Column("upload_started_ms", BigInteger),
    Column("received_ms", BigInteger),
    Column("stored_ms", BigInteger),
    Column("posted_ms", BigInteger),
    Column("resend_asked_ms", BigInteger),
    Column("resends", Integer, nullable=False, default=0),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),
)
Index("ix_photo_newest", photo.c.sort_at_ms, photo.c.id)
Index("ix_photo_camera_newest", photo.c.camera, photo.c.sort_at_ms, photo.c.id)
Index("ix_photo_command", photo.c.command)
Index("ix_photo_state", photo.c.state, photo.c.announced_ms)
Index("ix_photo_count", photo.c.camera, photo.c.state, photo.c.deleted_at_ms)  # counts read nothing but this
Index("ix_photo_foreign", photo.c.camera, photo.c.name, photo.c.sha256)

event = Table(
    "event",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("camera", String(32)),
    Column("photo", String(26)),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", Text),  # JSON
    sqlite_autoincrement=True,
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
)
"""How far each durable reader of `event` is."""

destination = Table(
    "destination",
    metadata,
    Column("target", String(64), primary_key=True),  # like discord:<webhook id>
    Column("parked_at_ms", BigInteger),
    Column("parked_reason", Text),
    Column("fingerprint", String(64)),  # SHA-256 of the secret it was parked with: a new one un-parks
    Column("pauses", Text),  # the limiter's waits, as JSON: they outlive a restart
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("photo", String(26), nullable=False),
    Column("target", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # waiting, sending, posted, set_aside
    Column("sort_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("uncertain", Integer, nullable=False, default=0),  # attempts of which nobody knows the outcome
    Column("not_before_ms", BigInteger, nullable=False, default=0),
    Column("message_id", String(32)),
    Column("error", Text),
    Column("sha256", String(64)),  # of the photo that the message shows
    Column("edit_wanted", Integer, nullable=False, default=0),  # changes that the message does not show yet
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    UniqueConstraint("photo", "target"),
    sqlite_autoincrement=True,
)
Index("ix_delivery_due", delivery.c.target, delivery.c.state, delivery.c.sort_at_ms)

command = Table(
    "command",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("camera", String(32), nullable=False),
    Column("do", String(16), nullable=False),
    Column("args", Text, nullable=False),  # JSON
    Column("origin", String(64), nullable=False),  # http, mqtt, …
    Column("state", String(16), nullable=False),  # queued, sent, done, failed, expired, cancelled
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("expected_at_ms", BigInteger),
    Column("sent_at_ms", BigInteger),
    Column("answered_at_ms", BigInteger),
    Column("error", String(300)),
    Column("detail", String(300)),
    Column("photo", String(26)),
    Column("progress", Integer),  # percent, as the camera said last
)
Index("ix_command_waiting", command.c.camera, command.c.state, command.c.created_at_ms)

telemetry = Table(
    "telemetry",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("camera", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("battery_mv", Integer),
    Column("battery_pct", Integer),
    Column("rssi_dbm", Integer),
    Column("heap_free", BigInteger),
    Column("queue", Integer),
    Column("sd_free_kb", BigInteger),
    Column("temperature_c", Integer),
    Column("uptime_ms", BigInteger),
)
Index("ix_telemetry_camera_at", telemetry.c.camera, telemetry.c.at_ms)

telemetry_hour = Table(
    "telemetry_hour",
    metadata,
    Column("camera", String(32), primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),  # the hour's first instant
    Column("field", String(32), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("minimum", BigInteger, nullable=False),
    Column("maximum", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
"""Who does what only one may do at a time, for example publish the server's status."""
