"""What a webhook's message may be: Discord's documented types and limits, as models that refuse everything else.

Stricter than Discord in two places, for both hide mistakes there: an unknown key, and an embed's `attachment://name`
that no file has. Polls and components are checked to be objects, no deeper.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from simulator.discord.refusals import TYPE_CODES, empty_message, invalid_form, invalid_form_many

MAX_FILES = 10
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_REQUEST_BYTES = 25 * 1024 * 1024
MAX_EMBEDS_CHARACTERS = 6000
IS_COMPONENTS_V2 = 1 << 15
SETTABLE_FLAGS = 1 << 2 | 1 << 12 | IS_COMPONENTS_V2
"""SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, IS_COMPONENTS_V2."""

_FORBIDDEN_NAMES = re.compile(r"clyde|discord", re.IGNORECASE)
_URL = re.compile(r"(https?|attachment)://[^\s]+")
_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")


def _snowflake(value: object) -> str:
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not re.fullmatch(r"[0-9]{1,20}", digits):
        raise PydanticCustomError("NUMBER_TYPE_COERCE", 'Value "{value}" is not snowflake.', {"value": value})
    return digits


def _webhook_name(name: str) -> str:
    if found := _FORBIDDEN_NAMES.search(name):
        word = found.group().lower()
        raise PydanticCustomError("USERNAME_INVALID_CONTAINS", 'Username cannot contain "{word}"', {"word": word})
    return name


def _url(url: str) -> str:
    if not _URL.fullmatch(url):
        raise PydanticCustomError(
            "URL_TYPE_INVALID_SCHEME", "Not a well formed URL: the scheme must be one of ('http', 'https')."
        )
    return url


def _iso_8601(text: str) -> str:
    if not _ISO_8601.fullmatch(text):
        raise PydanticCustomError("DATE_TIME_TYPE_PARSE", "Could not parse {text}. Should be ISO8601.", {"text": text})
    return text


def _flags(flags: int) -> int:
    if flags & ~SETTABLE_FLAGS:
        raise PydanticCustomError("BITFIELD_INVALID_FLAGS", "A webhook can set the flags 4, 4096 and 32768 only.")
    return flags


Snowflake = Annotated[str, BeforeValidator(_snowflake)]
Url = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_url)]
Text256 = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Json = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EmbedMedia(_Part):
    """An embed's image, thumbnail or video."""

    url: Url
    proxy_url: Url | None = None
    width: int | None = None
    height: int | None = None


class EmbedFooter(_Part):
    """An embed's footer."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    icon_url: Url | None = None


class EmbedAuthor(_Part):
    """An embed's author."""

    name: Text256
    url: Url | None = None
    icon_url: Url | None = None


class EmbedField(_Part):
    """One of an embed's fields."""

    name: Text256
    value: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    inline: bool | None = None


class Embed(_Part):
    """One embed."""

    title: Annotated[str, StringConstraints(max_length=256)] | None = None
    type: Literal["rich"] | None = None
    description: Annotated[str, StringConstraints(max_length=4096)] | None = None
    url: Url | None = None
    timestamp: Annotated[str, AfterValidator(_iso_8601)] | None = None
    color: Annotated[int, Field(ge=0, le=0xFFFFFF)] | None = None
    footer: EmbedFooter | None = None
    image: EmbedMedia | None = None
    thumbnail: EmbedMedia | None = None
    author: EmbedAuthor | None = None
    fields: Annotated[list[EmbedField], Field(max_length=25)] | None = None

    def characters(self) -> int:
        """Return what counts towards the 6000 characters over all embeds."""
        texts = [self.title, self.description, self.footer and self.footer.text, self.author and self.author.name]
        texts += [text for field in self.fields or () for text in (field.name, field.value)]
        return sum(len(text) for text in texts if text)

    def is_empty(self) -> bool:
        """Whether it would show nothing."""
        return not (self.characters() or self.image or self.thumbnail)

    def media_urls(self) -> list[tuple[str, str]]:
        """Return (place, url) of each picture."""
        places = (("image", self.image), ("thumbnail", self.thumbnail))
        return [(place, media.url) for place, media in places if media]


class AllowedMentions(_Part):
    """Who may be notified."""

    parse: Annotated[list[Literal["roles", "users", "everyone"]], Field(max_length=3)] | None = None
    roles: Annotated[list[Snowflake], Field(max_length=100)] | None = None
    users: Annotated[list[Snowflake], Field(max_length=100)] | None = None
    replied_user: bool | None = None


class AttachmentEntry(_Part):
    """One of `attachments`: the index n of a new `files[n]`, or, in an edit, the id of one to keep."""

    id: Snowflake
    filename: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    title: Annotated[str, StringConstraints(max_length=1024)] | None = None
    description: Annotated[str, StringConstraints(max_length=1024)] | None = None


class MessageEdit(_Part):
    """The payload of Edit Webhook Message."""

    content: Annotated[str, StringConstraints(max_length=2000)] | None = None
    embeds: Annotated[list[Embed], Field(max_length=10)] | None = None
    flags: Annotated[int, AfterValidator(_flags)] | None = None
    allowed_mentions: AllowedMentions | None = None
    components: list[Json] | None = None
    attachments: Annotated[list[AttachmentEntry], Field(max_length=MAX_FILES)] | None = None
    poll: Json | None = None


class MessageCreate(MessageEdit):
    """The payload of Execute Webhook."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(_webhook_name)] | None = (
        None
    )
    avatar_url: Url | None = None
    tts: bool | None = None
    thread_name: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    applied_tags: Annotated[list[Snowflake], Field(max_length=5)] | None = None


_Payload = TypeVar("_Payload", bound=MessageEdit)


def check(model: type[_Payload], payload: object, files: Mapping[int, str]) -> _Payload:
    """Return the payload as `model`.

    Args:
        model: `MessageCreate` or `MessageEdit`.
        payload: the JSON as it came.
        files: the index and the name of each new file; in an edit also the id and name of what is there already.

    Raises:
        Refusal: with every limit that it breaks.
    """
    try:
        message = model.model_validate(payload)
    except ValidationError as error:
        raise invalid_form_many(
            (found["loc"], TYPE_CODES.get(found["type"], _custom_code(found["type"])), found["msg"])
            for found in error.errors(include_url=False)
        ) from None
    _check_embeds(message.embeds or [], files)
    _check_attachments(message.attachments, files)
    _check_components(message)
    if isinstance(message, MessageCreate) and _shows_nothing(message, files):
        raise empty_message()
    return message


def _custom_code(kind: str) -> str:
    return kind if kind.isupper() else "BASE_TYPE_INVALID"


def _shows_nothing(message: MessageEdit, files: Mapping[int, str]) -> bool:
    content = (message.content or "").strip()
    return not (content or message.embeds or message.components or message.poll or files)


def _check_embeds(embeds: list[Embed], files: Mapping[int, str]) -> None:
    if sum(embed.characters() for embed in embeds) > MAX_EMBEDS_CHARACTERS:
        limit = f"Embed size exceeds maximum size of {MAX_EMBEDS_CHARACTERS}"
        raise invalid_form(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", limit)
    names = {f"attachment://{name}" for name in files.values()}
    for index, embed in enumerate(embeds):
        if embed.is_empty():
            raise invalid_form(("embeds", index, "description"), "BASE_TYPE_REQUIRED", "This field is required")
        for place, url in embed.media_urls():
            if url.startswith("attachment://") and url not in names:
                raise invalid_form(
                    ("embeds", index, place, "url"), "ATTACHMENT_NOT_FOUND", f"No file of this request is {url}"
                )


def _check_attachments(entries: list[AttachmentEntry] | None, files: Mapping[int, str]) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(entries or ()):
        if int(entry.id) not in files:
            raise invalid_form(("attachments", index), "ATTACHMENT_NOT_FOUND", "Attachment data not found")
        if entry.id in seen:
            raise invalid_form(("attachments", index), "ATTACHMENT_DUPLICATE", "This id was given before")
        seen.add(entry.id)


def _check_components(message: MessageEdit) -> None:
    if (message.flags or 0) & IS_COMPONENTS_V2 and (message.content or message.embeds or message.poll):
        raise invalid_form(
            ("flags",),
            "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            "content, embeds and poll cannot be used together with IS_COMPONENTS_V2",
        )
