"""One real example of each answer and request, for OpenAPI. A test holds them against the models."""

from typing import Any

_AT = 1_795_000_000_000
PHOTO_ID = "m3xk7q2vd5hw6ru4ayb2nz5ctj"
COMMAND_ID = "q7b2nz5ctjm3xk7q2vd5hw6ru4"

PHOTO: dict[str, Any] = {
    "id": PHOTO_ID,
    "camera": "front-door",
    "seq": 412,
    "trigger": "button",
    "state": "stored",
    "origin": "camera",
    "taken_at_ms": _AT,
    "bytes": 48213,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "width": 1600,
    "height": 1200,
    "url": f"/p/{PHOTO_ID}.jpg",
    "thumbnail_url": f"/api/v1/photos/{PHOTO_ID}/thumbnail",
    "labels": [],
    "stages": {
        "pressed": _AT,
        "captured": _AT + 120,
        "announced": _AT + 161,
        "upload_started": _AT + 178,
        "received": _AT + 402,
        "stored": _AT + 409,
        "posted": _AT + 655,
    },
    "deliveries": [
        {
            "target": "discord:1180000000000000001",
            "state": "posted",
            "attempts": 1,
            "message_id": "1180000000000000042",
            "error": None,
        }
    ],
}

PHOTO_PAGE: dict[str, Any] = {"photos": [PHOTO], "next": "MTc5NTAwMDAwMDAwMDptM3hrN3EydmQ1aHc2cnU0YXliMm56NWN0ag"}

CAMERA: dict[str, Any] = {
    "name": "front-door",
    "presence": "online",
    "presence_at_ms": _AT - 60_000,
    "seen_at_ms": _AT,
    "next_wake_at_ms": None,
    "status": {
        "battery_mv": 3962,
        "battery_pct": 72,
        "battery_mah": 1000,
        "shot_uah": 415,
        "rssi_dbm": -61,
        "queue": 0,
        "firmware": "0.1.0",
    },
    "status_at_ms": _AT,
    "config": {"quality": 85},
    "created_at_ms": _AT - 86_400_000,
    "ftp_only": False,
    "photos": 412,
    "photos_left": 1734,
}

CAMERAS: dict[str, Any] = {"cameras": [CAMERA]}

COMMAND: dict[str, Any] = {
    "id": COMMAND_ID,
    "camera": "front-door",
    "do": "shutter",
    "args": {},
    "origin": "http:phone",
    "state": "queued",
    "created_at_ms": _AT,
    "expires_at_ms": _AT + 30_000,
    "expected_at_ms": _AT,
    "sent_at_ms": None,
    "answered_at_ms": None,
    "error": None,
    "detail": None,
    "photo": None,
    "progress": None,
}

SLEEP_COMMAND: dict[str, Any] = {
    **COMMAND,
    "do": "sleep",
    "args": {"next_wake_ms": 3_600_000},
    "expires_at_ms": _AT + 60_000,
}

CONFIG: dict[str, Any] = {"frame_size": "UXGA", "quality": 85}

CONFIG_COMMAND: dict[str, Any] = {
    **COMMAND,
    "do": "configure",
    "args": CONFIG,
    "expires_at_ms": _AT + 7 * 86_400_000,
}

UPDATE: dict[str, Any] = {"bundle": "0.1.0+5f1d0c3a"}

UPDATE_COMMAND: dict[str, Any] = {
    **COMMAND,
    "do": "update",
    "args": UPDATE,
    "expires_at_ms": _AT + 7 * 86_400_000,
}

CANCELLED: dict[str, Any] = {**COMMAND, "state": "cancelled", "answered_at_ms": _AT + 900}

SLEEP: dict[str, Any] = {"next_wake_ms": 3_600_000}

TELEMETRY: dict[str, Any] = {
    "camera": "front-door",
    "from_ms": _AT - 7_200_000,
    "to_ms": _AT,
    "series": {
        "battery_mv": {
            "at_ms": [_AT - 7_200_000, _AT - 3_600_000],
            "minimum": [3921, 3912],
            "mean": [3924.5, 3915.25],
            "maximum": [3928, 3919],
        }
    },
}

EVENTS = (
    "id: 981\nevent: photo.stored\n"
    f'data: {{"id":981,"kind":"photo.stored","camera":"front-door","photo":"{PHOTO_ID}","at_ms":{_AT},"body":{{}}}}\n\n'
)

ALIVE: dict[str, Any] = {"status": "ok", "version": "0.1.0"}

READY: dict[str, Any] = {"status": "ready", "checks": {"database": "ok", "photos": "ok", "broker": "ok", "ftp": "ok"}}

METRICS = 'aperture_photos{state="stored"} 412\naperture_cameras{presence="online"} 1\n'


def json(example: Any, description: str = "Successful Response") -> dict[str, Any]:
    """Return OpenAPI's entry of a JSON answer with this example."""
    return {"description": description, "content": {"application/json": {"example": example}}}
