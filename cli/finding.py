"""What a check of `aperture doctor` found."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    HINT = "hint"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result; `todo` says what to do unless all is well."""

    check: str
    verdict: Verdict
    detail: str
    todo: str = ""
