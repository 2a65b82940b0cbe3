"""The golden files hold both sides together: pydantic must accept them and write them back unchanged."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from aperture.contract.messages import (
    Ack,
    AckState,
    Command,
    Delivery,
    Do,
    Manifest,
    Message,
    PhotoRecord,
    Reply,
    Request,
    ServerStatus,
    Sleep,
    SleepPhase,
    Stages,
    Status,
)

GOLDEN = Path(__file__).parent / "golden"
MODELS: dict[str, type[Message]] = {
    "shutter": Manifest,
    "status": Status,
    "sleep": Sleep,
    "reply": Reply,
    "command": Command,
    "ack": Ack,
    "photo": PhotoRecord,
    "request": Request,
    "server": ServerStatus,
}
PARTS: dict[type[BaseModel], tuple[str, str]] = {Stages: ("photo", "stages"), Delivery: ("photo", "deliveries")}
FILES = sorted(GOLDEN.glob("*.json"))


def model_of(file: Path) -> type[Message]:
    return MODELS[file.stem.partition("-")[0]]


def said_by(kind: str, key: str | None = None) -> list[dict[str, Any]]:
    """Return the golden objects of a kind of message, or those in one of its fields."""
    bodies = [json.loads(file.read_text()) for file in FILES if file.stem.partition("-")[0] == kind]
    if key is None:
        return bodies
    values = [body[key] for body in bodies if key in body]
    lists = [cast("list[dict[str, Any]]", value if isinstance(value, list) else [value]) for value in values]
    return [one for some in lists for one in some]


def known_names(objects: list[dict[str, Any]]) -> set[str]:
    return {name for one in objects for name, value in one.items() if value is not None}


def test_every_message_has_a_golden_file():
    """Each model that has a body of its own is here, and each golden file has a model."""
    assert {file.stem.partition("-")[0] for file in FILES} == set(MODELS)
    own = {model for model in Message.__subclasses__() if model.__module__ == Message.__module__}
    assert {*MODELS.values(), *PARTS} == own


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_is_in_a_golden_file(kind: str):
    """A field that the contract gains, loses or renames must do so here too, where the camera's side is held to it."""
    assert known_names(said_by(kind)) == set(MODELS[kind].model_fields)


@pytest.mark.parametrize("part", PARTS)
def test_every_field_of_a_part_is_in_a_golden_file(part: type[BaseModel]):
    """The same, for the objects that a photo's record has in it."""
    assert known_names(said_by(*PARTS[part])) == set(part.model_fields)


@pytest.mark.parametrize(
    ("kind", "key", "words"), [("command", "do", Do), ("ack", "state", AckState), ("sleep", "phase", SleepPhase)]
)
def test_every_word_is_in_a_golden_file(kind: str, key: str, words: type[StrEnum]):
    """Whatever can be asked, acknowledged or said before sleep has an example."""
    assert {body[key] for body in said_by(kind) if key in body} == set(words)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_golden_message_survives_reading_and_writing(file: Path):
    """Nothing that the camera says is lost, and nothing is made up: null and absent alike are what nobody knows."""
    said = json.loads(file.read_text())
    written = json.loads(model_of(file).decode(file.read_bytes()).encode())
    assert written == {name: value for name, value in said.items() if value is not None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_unknown_fields_are_ignored(file: Path):
    """A newer firmware may say more than this server knows."""
    said = json.loads(file.read_text())
    model = model_of(file)
    assert model.decode(json.dumps({**said, "from_the_future": {"a": [1]}})) == model.decode(file.read_bytes())
