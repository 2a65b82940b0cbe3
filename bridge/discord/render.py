"""What photos look like in Discord: one embed each, the picture in it, the photo's id in its footer.

Whatever a camera says of itself is shown as text, never as Markdown. Ten embeds share 6000 characters, so each is kept
within a tenth of that.
"""

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aperture.contract.messages import PhotoRecord, Stages

MAX_PHOTOS: Final = 10
MAX_UPLOAD_BYTES: Final = 25 * 1024 * 1024
"""Discord's limit for a whole request; whoever makes albums leaves room for the payload."""

_PALETTE = (0x5865F2, 0x57F287, 0xFEE75C, 0xEB459E, 0xED4245, 0x3BA3D0, 0xF0883E, 0x9B59B6)
_LAST_INSTANT_MS = 253_402_300_799_000
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]()#:@-])")
_STAGES = ("captured", "announced", "upload_started", "received", "stored")
_NOTES = {"black": "looks black, after several tries", "same": "identical to the photo before, after several tries"}
_AGAIN = "sent again, as the first reply was lost: it may be here twice"


def photo_filename(record: PhotoRecord) -> str:
    """Return the name that the photo's file has in Discord."""
    return f"{record.id}.jpg"


def render_photos(records: Sequence[PhotoRecord], *, again: bool = False) -> dict[str, Any]:
    """Return the payload of one message with these photos; `files[n]` must be the bytes of `records[n]`.

    Args:
        records: 1 to 10 photos, in the order in which they are shown.
        again: an earlier attempt's outcome is unknown, and the message says so.

    Raises:
        ValueError: there are none, or more than 10.
    """
    if not 1 <= len(records) <= MAX_PHOTOS:
        raise ValueError(f"A message takes 1 to {MAX_PHOTOS} photos, not {len(records)}")
    return {
        "embeds": [_embed(record, again=again) for record in records],
        "attachments": [
            {"id": index, "filename": photo_filename(record), "description": _alt_text(record)}
            for index, record in enumerate(records)
        ],
        "allowed_mentions": {"parse": []},
    }


def _embed(record: PhotoRecord, *, again: bool) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "title": _cut(record.camera, 64),
        "description": _taken(record),
        "color": _PALETTE[zlib.crc32(record.camera.encode()) % len(_PALETTE)],
        "fields": _fields(record),
        "image": {"url": f"attachment://{photo_filename(record)}"},
        "footer": {"text": f"{record.id} · {_AGAIN}" if again else record.id},
    }
    if record.url and record.url.startswith(("https://", "http://")) and len(record.url) <= 2048:  # noqa: PLR2004
        embed["url"] = record.url
    if _is_instant(record.taken_at_ms):
        embed["timestamp"] = datetime.fromtimestamp((record.taken_at_ms or 0) / 1000, UTC).isoformat()
    return embed


def _taken(record: PhotoRecord) -> str:
    if not _is_instant(record.taken_at_ms):
        return "Nobody knows when: the camera had no clock"
    at_s = (record.taken_at_ms or 0) // 1000
    return f"<t:{at_s}:f> (<t:{at_s}:R>)"


def _is_instant(at_ms: int | None) -> bool:
    return at_ms is not None and at_ms <= _LAST_INSTANT_MS


def _fields(record: PhotoRecord) -> list[dict[str, Any]]:
    fields = [
        ("Size", _size(record)),
        ("Trigger", _plain(record.trigger or "", 60)),
        ("On its way", _stages(record.stages)),
        ("Note", _notes(record.labels)),
    ]
    return [{"name": name, "value": value, "inline": True} for name, value in fields if value]


def _size(record: PhotoRecord) -> str:
    parts = [f"{record.width}×{record.height}"] if record.width and record.height else []  # noqa: RUF001 - the sign for it
    if record.bytes is not None:
        parts.append(f"{record.bytes / 1000:.0f} kB" if record.bytes >= 1000 else f"{record.bytes} B")  # noqa: PLR2004
    return " · ".join(parts)


def _notes(labels: Sequence[str]) -> str:
    """Return in words what the camera said is wrong with its photo."""
    return " · ".join(_NOTES.get(label) or _plain(label, 32) for label in labels[:4])


def _stages(stages: Stages) -> str:
    """Return how long after the press each later stage was passed."""
    if stages.pressed is None:
        return ""
    passed = [(name, getattr(stages, name)) for name in _STAGES]
    return " · ".join(
        f"{name.replace('_', ' ')} {_seconds(at_ms - stages.pressed)}" for name, at_ms in passed if at_ms is not None
    )


def _seconds(duration_ms: int) -> str:
    return f"+{max(0, duration_ms) / 1000:.2f} s"


def _alt_text(record: PhotoRecord) -> str:
    return f"Photo from {_cut(record.camera, 64)}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _plain(text: str, length: int) -> str:
    """Return text that Discord shows as it is."""
    return _MARKDOWN.sub(r"\\\1", _cut(" ".join(text.split()), length))
