"""The golden files hold both sides together: pydantic must accept them and write them back unchanged."""

import json
from pathlib import Path

import pytest

from aperture.contract.messages import Ack, Command, Manifest, Message, Reply, Sleep, Status

GOLDEN = Path(__file__).parent / "golden"
MODELS = {"shutter": Manifest, "status": Status, "sleep": Sleep, "reply": Reply, "command": Command, "ack": Ack}
FILES = sorted(GOLDEN.glob("*.json"))


def model_of(file: Path) -> type[Message]:
    return MODELS[file.stem.partition("-")[0]]


def test_every_message_has_a_golden_file():
    assert {file.stem.partition("-")[0] for file in FILES} == set(MODELS)


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
