"""The bodies of MQTT messages, as JSON. The server's models are the other side; golden files hold the two together.

Encoders leave out what is None, except in a status, where null says "this board can't know".
"""

import json

from aa.ids import is_photo_id

STATUS_FIELDS = (
    "battery_mv",
    "battery_pct",
    "rssi_dbm",
    "heap_free",
    "queue",
    "sd_free_kb",
    "temperature_c",
    "uptime_ms",
    "firmware",
    "board",
    "sensor",
    "display",
    "reset_cause",
    "wake_reason",
    "settings",
    "battery_mah",
    "shot_uah",
)
ACK_STATES = ("announced", "stored", "resend")


class BadMessage(Exception):
    """A body from the wire does not fit the contract; the text says how."""


def _encode(fields):
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def encode_manifest(facts, when):
    """Return the body of `shutter`. `when` is {"taken_at_ms": …}, {"age_ms": …} or {} (see `Clock.when`)."""
    fields = {
        key: facts.get(key)
        for key in ("photo", "seq", "trigger", "bytes", "sha256", "width", "height", "command", "stage_ms", "labels")
    }
    fields.update(when)
    return _encode(fields)


def encode_status(facts):
    """Return the body of `status`; what `facts` does not have is null."""
    return json.dumps({key: facts.get(key) for key in STATUS_FIELDS}).encode()


def encode_sleep(phase, nonce, reason, next_wake_ms, queue):
    """Return the body of `sleep`: phase "intent" or "going"; next_wake_ms None means until someone presses."""
    return _encode({
        "phase": phase,
        "nonce": nonce,
        "reason": reason,
        "next_wake_ms": next_wake_ms,
        "queue": queue,
    })


def encode_reply(command, ok, error=None, detail=None):
    """Return the body of `reply`: `error` is a short code, `detail` is for people."""
    return _encode({"command": command, "ok": ok, "error": error, "detail": detail})


def encode_progress(command, percent):
    """Return the body of a `reply` that ends nothing: it tells how far a command is."""
    return _encode({"command": command, "progress": percent})


def _object(body):
    try:
        fields = json.loads(body)
    except ValueError:
        raise BadMessage("not JSON")
    if not isinstance(fields, dict):
        raise BadMessage("not a JSON object")
    return fields


def _whole(fields, key):
    value = fields.get(key)
    if type(value) is not int or value < 0:
        raise BadMessage(key + ": must be a whole number")
    return value


def _is_command_id(text):
    return isinstance(text, str) and 1 <= len(text) <= 32 and all(c.isdigit() or "a" <= c <= "z" for c in text)


def decode_command(body):
    """Return a command as a dict with id, do, args, expires_at_ms and now_ms.

    Raises:
        BadMessage: with what is wrong.
    """
    fields = _object(body)
    if not _is_command_id(fields.get("id")):
        raise BadMessage("id: must be 1 to 32 of a-z and 0-9")
    if not isinstance(fields.get("do"), str):
        raise BadMessage("do: must be text")
    args = fields.get("args")
    if args is not None and not isinstance(args, dict):
        raise BadMessage("args: must be an object")
    return {
        "id": fields["id"],
        "do": fields["do"],
        "args": args or {},
        "expires_at_ms": _whole(fields, "expires_at_ms"),
        "now_ms": _whole(fields, "now_ms"),
    }


def decode_ack(body):
    """Return an acknowledgement as a dict with now_ms and either photo and state, or sleep_ok and nonce.

    Raises:
        BadMessage: with what is wrong.
    """
    fields = _object(body)
    ack = {"now_ms": _whole(fields, "now_ms")}
    if fields.get("photo") is not None:
        if not is_photo_id(fields["photo"]) or fields.get("state") not in ACK_STATES:
            raise BadMessage("photo, state: must be a photo's id and one of " + " ".join(ACK_STATES))
        ack["photo"] = fields["photo"]
        ack["state"] = fields["state"]
    elif fields.get("sleep_ok") is not None:
        ack["sleep_ok"] = fields["sleep_ok"] is True
        ack["nonce"] = _whole(fields, "nonce")
    return ack
