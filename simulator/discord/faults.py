"""What the stand-in can be told to do wrong, and for how many requests."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    """What goes wrong. Only the first group leaves the message unaccepted."""

    RATE_LIMIT = "rate_limit"  # 429 with Retry-After, body, scope
    CLOUDFLARE = "cloudflare"  # 429 from the edge: HTML, no Via
    REFUSE = "refuse"  # any status and error code: 400, 401, 403, 404, 413, …
    FAIL_BEFORE = "fail_before"  # 5xx, not accepted
    RESET = "reset"  # the connection is reset as soon as the headers are there
    STALL = "stall"  # the body is never read; the connection is reset after delay_ms

    FAIL_AFTER = "fail_after"  # 5xx although the message exists
    LOSE_REPLY = "lose_reply"  # accepted, then the connection closes without an answer
    CUT_REPLY = "cut_reply"  # accepted, then the connection closes halfway through the answer
    DELAY = "delay"  # accepted, and answered after delay_ms


class Fault(BaseModel):
    """One order to misbehave.

    `times` requests are hit (None: until healed), those with this `method` (None: any) and, if given, this webhook.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    times: Annotated[int, Field(gt=0)] | None = 1
    method: Literal["POST", "PATCH", "GET", "DELETE"] | None = "POST"
    webhook_id: str | None = None
    retry_after_ms: Annotated[int, Field(ge=0)] = 1_000
    scope: Literal["user", "shared", "global"] = "user"
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    code: int = 0
    message: str = "The stand-in was told to refuse this"
    delay_ms: Annotated[int, Field(ge=0, le=600_000)] = 1_000

    @property
    def refusal_status(self) -> int:
        """The status to answer with: as ordered, or what the kind's name suggests."""
        if self.status is not None:
            return self.status
        match self.kind:
            case FaultKind.FAIL_AFTER:
                return 502
            case FaultKind.FAIL_BEFORE:
                return 503
            case _:
                return 400


class Faults:
    """The orders that stand, oldest first; each request takes at most one."""

    def __init__(self) -> None:
        self._standing: list[tuple[Fault, int | None]] = []

    def order(self, fault: Fault) -> None:
        """Add an order behind those that stand."""
        self._standing.append((fault, fault.times))

    def heal(self) -> None:
        """Drop all orders."""
        self._standing.clear()

    def take(self, *, method: str, webhook_id: str) -> Fault | None:
        """Return the order that hits this request, and count it."""
        for place, (fault, left) in enumerate(self._standing):
            if fault.method not in (None, method) or fault.webhook_id not in (None, webhook_id):
                continue
            if left is not None and left <= 1:
                del self._standing[place]
            elif left is not None:
                self._standing[place] = (fault, left - 1)
            return fault
        return None
