"""What is said: the bodies of MQTT messages (JSON), checked at the edge.

Unknown fields are ignored and never required; what a board can't know is null. Times are integers in milliseconds:
`*_at_ms` are instants (Unix time, UTC), all others durations. Every number is bounded: what can't be true is refused
here, and no sum of two can leave what JSON, SQLite and a reader in another language all hold (2^53).
"""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from aperture.contract.ids import ContractError

MAX_PHOTO_BYTES = 10 * 1024 * 1024
MAX_DURATION_MS = 366 * 86_400_000
"""The longest age, wait or stage that a camera may tell of."""

PhotoId = Annotated[str, StringConstraints(pattern=r"^[a-z2-7]{26}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Millis = Count
Duration = Annotated[int, Field(ge=0, le=MAX_DURATION_MS)]
CommandId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
ShortText = Annotated[str, StringConstraints(max_length=300)]
Word = Annotated[str, StringConstraints(max_length=32)]
SettingValue = ShortText | Annotated[int, Field(ge=-(2**53), le=2**53)] | bool | None


class MessageRejectedError(ContractError):
    """A body is not JSON, or not the JSON that its topic calls for."""


class Message(BaseModel):
    """A JSON body. `decode` and `encode` are the only ways in and out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def decode(cls, body: bytes | str) -> Self:
        """Parse a body.

        Raises:
            MessageRejectedError: with the first thing that is wrong, in words.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise MessageRejectedError(f"{cls.__name__.lower()}: {where}: {first['msg']}") from None

    def encode(self) -> bytes:
        """Return the body as compact JSON; fields that are None are left out."""
        return self.model_dump_json(exclude_none=True).encode()


class Presence(StrEnum):
    """The plain-text body of `presence`."""

    ONLINE = "online"
    ASLEEP = "asleep"
    OFFLINE = "offline"

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Parse a body.

        Raises:
            MessageRejectedError: it is none of the three words.
        """
        try:
            return cls(body.decode())
        except ValueError:
            raise MessageRejectedError("presence: must be online, asleep or offline") from None


class Status(Message):
    """Telemetry. Null where a board can't know: never a guess.

    `wake_reason` is what ended a deep sleep, `press` or `timer`; `settings` is what `configure` can change, as it is
    now in force; `battery_mah` is what the battery holds, and `shot_uah` what one photo takes of it, by estimate.
    """

    battery_mv: Annotated[int, Field(ge=0, le=100_000)] | None = None
    battery_pct: Annotated[int, Field(ge=0, le=100)] | None = None
    rssi_dbm: Annotated[int, Field(ge=-200, le=50)] | None = None
    heap_free: Count | None = None
    queue: Count | None = None
    sd_free_kb: Count | None = None
    temperature_c: Annotated[int, Field(ge=-100, le=200)] | None = None
    uptime_ms: Millis | None = None
    firmware: ShortText | None = None
    board: ShortText | None = None
    sensor: ShortText | None = None
    display: Annotated[list[ShortText], Field(max_length=16)] | None = None
    reset_cause: ShortText | None = None
    wake_reason: ShortText | None = None
    settings: Annotated[dict[Word, SettingValue], Field(max_length=64)] | None = None
    battery_mah: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    shot_uah: Annotated[int, Field(gt=0, le=10_000_000)] | None = None


class Manifest(Message):
    """The body of `shutter`: what the camera says of a photo that it took.

    At most one of `taken_at_ms` (a camera with a clock) and `age_ms` (one that only knows how long ago) is there;
    after a power loss neither is. `stage_ms` maps device stages to durations, for example
    `{"captured": 120, "queued": 15}`: from the press to the frame in RAM, and on to the frame on the card. `labels`
    are what the camera could not mend: `black`, or `same` as the frame before.
    """

    photo: PhotoId
    seq: Count
    trigger: ShortText
    bytes: Annotated[int, Field(gt=0, le=MAX_PHOTO_BYTES)]
    sha256: Sha256
    taken_at_ms: Millis | None = None
    age_ms: Duration | None = None
    width: Annotated[int, Field(gt=0, le=65535)] | None = None
    height: Annotated[int, Field(gt=0, le=65535)] | None = None
    command: CommandId | None = None
    stage_ms: dict[ShortText, Duration] | None = None
    labels: Annotated[list[Word], Field(max_length=8)] | None = None


class SleepPhase(StrEnum):
    """`intent` asks for leave, `going` says good-bye."""

    INTENT = "intent"
    GOING = "going"


class Sleep(Message):
    """The body of `sleep`: one half of the handshake before deep sleep."""

    phase: SleepPhase
    nonce: Count | None = None
    reason: ShortText | None = None
    next_wake_ms: Duration | None = None
    queue: Count | None = None


class Reply(Message):
    """The body of `reply`: what became of a command. `error` is a short code, `detail` is for people.

    One without `ok` ends nothing: it tells how far the command is, `progress` in percent.
    """

    command: CommandId
    ok: bool | None = None
    error: ShortText | None = None
    detail: ShortText | None = None
    progress: Annotated[int, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.ok is None and self.progress is None:
            raise ValueError("either ok or progress must be there")
        return self


class Do(StrEnum):
    """What can be asked of a camera."""

    SHUTTER = "shutter"
    SLEEP = "sleep"
    CONFIGURE = "configure"
    RESEND = "resend"
    IDENTIFY = "identify"
    REBOOT = "reboot"
    UPDATE = "update"


class Command(Message):
    """The body of `command`. The device drops it once `now_ms` (its clock, set by the server) is past expiry."""

    id: CommandId
    do: Do
    args: dict[str, Any] = Field(default_factory=dict)
    expires_at_ms: Millis
    now_ms: Millis


class AckState(StrEnum):
    """How far the server has a photo. `resend` asks for its bytes once more."""

    ANNOUNCED = "announced"
    STORED = "stored"
    RESEND = "resend"


class Ack(Message):
    """The body of `ack`: either `photo` and `state`, or `sleep_ok` and the `nonce` of the intent that it answers."""

    now_ms: Millis
    photo: PhotoId | None = None
    state: AckState | None = None
    sleep_ok: bool | None = None
    nonce: Count | None = None


class ServerStatus(Message):
    """The body of `<root>/server/status`."""

    status: Annotated[str, StringConstraints(pattern="^(online|offline)$")]
    version: ShortText | None = None


class Request(Message):
    """What an operator asks for on `request`: plain `shutter`, `sleep`, `identify`, or this as JSON."""

    do: Do
    args: dict[str, Any] = Field(default_factory=dict)
    ttl_ms: Annotated[int, Field(gt=0, le=7 * 86_400_000)] | None = None

    @classmethod
    def decode(cls, body: bytes | str) -> Self:
        """Parse a plain word or a JSON object.

        Raises:
            MessageRejectedError: it is neither.
        """
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        if text.strip() in {Do.SHUTTER, Do.SLEEP, Do.IDENTIFY}:
            return cls(do=Do(text.strip()))
        return super().decode(text)


class Delivery(Message):
    """How far a photo is on its way to one destination."""

    target: str
    state: str
    attempts: int = 0
    message_id: str | None = None
    error: str | None = None


class Stages(Message):
    """Instants (Unix ms) at which a photo passed each stage; None where it did not, or nobody can know."""

    pressed: Millis | None = None
    captured: Millis | None = None
    announced: Millis | None = None
    upload_started: Millis | None = None
    received: Millis | None = None
    stored: Millis | None = None
    posted: Millis | None = None


class PhotoRecord(Message):
    """A photo's public record: the body of `photo`, and a photo in the HTTP API. `labels` are as in `Manifest`."""

    id: PhotoId
    camera: str
    seq: int | None = None
    trigger: str | None = None
    state: str
    origin: str
    taken_at_ms: Millis | None = None
    bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    url: str | None = None
    thumbnail_url: str | None = None
    labels: list[str] = []
    stages: Stages = Stages()
    deliveries: list[Delivery] = []
