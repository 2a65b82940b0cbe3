"""Discord's own words for "no": HTTP status, JSON error code, and the tree of form errors.

Codes are those of Discord's "Opcodes and Status Codes" page.
"""

from collections.abc import Iterable
from typing import Any

TYPE_CODES = {
    "extra_forbidden": "UNKNOWN_KEY",  # ours: Discord ignores unknown keys, which hides typing errors
    "missing": "BASE_TYPE_REQUIRED",
    "string_too_long": "BASE_TYPE_MAX_LENGTH",
    "string_too_short": "BASE_TYPE_BAD_LENGTH",
    "too_long": "BASE_TYPE_BAD_LENGTH",
    "string_type": "STRING_TYPE_CONVERT",
    "int_type": "NUMBER_TYPE_COERCE",
    "bool_type": "BOOLEAN_TYPE_CONVERT",
    "list_type": "LIST_TYPE_CONVERT",
    "dict_type": "MODEL_TYPE_CONVERT",
    "model_type": "MODEL_TYPE_CONVERT",
    "literal_error": "BASE_TYPE_CHOICES",
    "enum": "BASE_TYPE_CHOICES",
}
"""From pydantic's name of what is wrong to Discord's; anything else is `BASE_TYPE_INVALID`."""


class StandInError(Exception):
    """The root of what this package raises."""


class Refusal(StandInError):  # noqa: N818 - it is an answer, not a mishap
    """An answer that is not a success: what Discord would say, to be sent as it stands."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        errors: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message, "code": code, **(extra or {})}
        if errors:
            self.body["errors"] = errors


def invalid_form(where: Iterable[str | int], code: str, message: str) -> Refusal:
    """Return a 400 (50035) with one error at the path `where` of the payload."""
    return invalid_form_many([(where, code, message)])


def invalid_form_many(found: Iterable[tuple[Iterable[str | int], str, str]]) -> Refusal:
    """Return a 400 (50035) whose tree holds every (path, code, message)."""
    tree: dict[str, Any] = {}
    for where, code, message in found:
        node = tree
        for step in where:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})
    return Refusal(400, 50035, "Invalid Form Body", errors=tree)


def invalid_json() -> Refusal:
    """Return the answer to a body that is not JSON."""
    return Refusal(400, 50109, "The request body contains invalid JSON.")


def empty_message() -> Refusal:
    """Return the answer to a message without content, embeds, components, files and poll."""
    return Refusal(400, 50006, "Cannot send an empty message")


def too_large() -> Refusal:
    """Return the answer to a file or a request over the limit."""
    return Refusal(413, 40005, "Request entity too large")


def unknown_webhook() -> Refusal:
    """Return the answer to a webhook id that does not exist (any more)."""
    return Refusal(404, 10015, "Unknown Webhook")


def invalid_token() -> Refusal:
    """Return the answer to a webhook whose token is another."""
    return Refusal(401, 50027, "Invalid Webhook Token")


def unknown_message() -> Refusal:
    """Return the answer to a message that this webhook has not in this channel or thread."""
    return Refusal(404, 10008, "Unknown Message")


def unknown_channel() -> Refusal:
    """Return the answer to a thread that is not in the webhook's channel."""
    return Refusal(404, 10003, "Unknown Channel")


def blocked_user_agent() -> Refusal:
    """Return the edge's answer to a User-Agent that is not `DiscordBot (url, version)`."""
    return Refusal(403, 40333, "internal network error")
