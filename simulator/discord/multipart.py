"""Takes a request's body apart: JSON, or multipart of one `payload_json` and `files[0]` to `files[9]`.

The whole body is in memory by now (a request is at most 25 MiB), so a strict split of RFC 2046 is all it takes. It is
not the HTTP library's own reader on purpose: client and stand-in would share its mistakes.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulator.discord.refusals import Refusal, invalid_form, invalid_json, too_large
from simulator.discord.rules import MAX_FILE_BYTES, MAX_FILES

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*([a-z*]+)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILE_NAME = re.compile(r"files\[([0-9])\]")


@dataclass(frozen=True, slots=True)
class File:
    """One uploaded file."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """What a request carries: the message's JSON, not checked yet, and files by index."""

    payload: Any
    files: dict[int, File] = field(default_factory=dict[int, File])

    def names(self) -> dict[int, str]:
        """Return each file's name by its index."""
        return {index: file.name for index, file in self.files.items()}


def parse(content_type: str, body: bytes) -> Submission:
    """Take a body apart.

    Raises:
        Refusal: it is neither JSON nor the multipart that Discord documents, or a file is over 10 MiB.
    """
    kind = content_type.partition(";")[0].strip().lower()
    match kind:
        case "application/json":
            return Submission(_json(body))
        case "multipart/form-data":
            return _form(_split(content_type, body))
        case _:
            expected = "Expected \"Content-Type\" header to be one of {'application/json', 'multipart/form-data'}."
            raise invalid_form((), "CONTENT_TYPE_INVALID", expected)


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid_json() from None


def _broken(what: str) -> Refusal:
    return invalid_form((), "MULTIPART_INVALID", what)


def _split(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Return each part's headers (names in lower case) and bytes, by RFC 2046, section 5.1."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise _broken("multipart without a boundary")
    delimiter = b"\r\n--" + (found.group(1) or found.group(2)).encode()
    head, *chunks = (b"\r\n" + body).split(delimiter)
    if head or len(chunks) < 2 or chunks[-1] not in (b"--", b"--\r\n"):  # noqa: PLR2004 - one part and the end
        raise _broken("the multipart body does not begin and end with its boundary")
    return [_part(chunk) for chunk in chunks[:-1]]


def _part(chunk: bytes) -> tuple[dict[str, str], bytes]:
    head, gap, data = chunk.partition(b"\r\n\r\n")
    if not gap or not head.startswith(b"\r\n"):
        raise _broken("a part has no headers")
    headers: dict[str, str] = {}
    for line in head[2:].decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise _broken("a part's header has no colon")
        headers[name.strip().lower()] = value.strip()
    return headers, data


def _form(parts: list[tuple[dict[str, str], bytes]]) -> Submission:
    payload: Any = None
    files: dict[int, File] = {}
    for headers, data in parts:
        disposition = headers.get("content-disposition", "")
        given = {name.lower(): value for name, value in _PARAMETER.findall(disposition)}
        name = given.get("name", "")
        if not disposition.startswith("form-data") or not name:
            raise _broken("a part has no name")
        if name == "payload_json":
            if payload is not None:
                raise _broken("payload_json is there twice")
            payload = _json(data)
            continue
        index = _file_index(name, files)
        files[index] = _file(name, given, headers, data)
    return Submission({} if payload is None else payload, files)


def _file_index(name: str, files: dict[int, File]) -> int:
    match = _FILE_NAME.fullmatch(name)
    if not match:
        raise _broken(f"unknown part {name[:40]!r}: take payload_json and files[0] to files[{MAX_FILES - 1}]")
    index = int(match.group(1))
    if index in files:
        raise _broken(f"{name} is there twice")
    return index


def _file(name: str, given: dict[str, str], headers: dict[str, str], data: bytes) -> File:
    if not given.get("filename"):
        raise _broken(f"{name} has no filename")
    if len(data) > MAX_FILE_BYTES:
        raise too_large()
    return File(given["filename"], headers.get("content-type", "application/octet-stream"), data)
