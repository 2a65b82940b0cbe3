import asyncio
import json
from typing import Any

import pytest
from pydantic import TypeAdapter

import api
from aperture.contract.messages import PhotoRecord
from api import documents, examples, health
from api.cameras import SleepOrder, UpdateOrder

NAMES = {
    "get /api/v1/cameras": "list_cameras",
    "get /api/v1/cameras/{camera}": "get_camera",
    "post /api/v1/cameras/{camera}/shutter": "press_shutter",
    "post /api/v1/cameras/{camera}/sleep": "send_to_sleep",
    "post /api/v1/cameras/{camera}/update": "update_firmware",
    "put /api/v1/cameras/{camera}/config": "configure_camera",
    "get /api/v1/cameras/{camera}/telemetry": "get_telemetry",
    "get /api/v1/commands/{command}": "get_command",
    "delete /api/v1/commands/{command}": "cancel_command",
    "get /api/v1/photos": "list_photos",
    "get /api/v1/photos/{photo}": "get_photo",
    "delete /api/v1/photos/{photo}": "delete_photo",
    "get /api/v1/photos/{photo}/image": "get_image",
    "get /api/v1/photos/{photo}/thumbnail": "get_thumbnail",
    "get /api/v1/events": "stream_events",
    "get /metrics": "get_metrics",
    "get /healthz": "healthz",
    "get /readyz": "readyz",
    "get /p/{photo}.jpg": "get_public_image",
}
"""What others build on: changing a line here breaks their programs."""

EXAMPLES: list[tuple[Any, Any]] = [
    (examples.PHOTO, PhotoRecord),
    (examples.PHOTO_PAGE, documents.PhotoPage),
    (examples.CAMERA, documents.CameraDocument),
    (examples.CAMERAS, documents.CameraList),
    (examples.COMMAND, documents.CommandDocument),
    (examples.SLEEP_COMMAND, documents.CommandDocument),
    (examples.CONFIG_COMMAND, documents.CommandDocument),
    (examples.UPDATE_COMMAND, documents.CommandDocument),
    (examples.CANCELLED, documents.CommandDocument),
    (examples.SLEEP, SleepOrder),
    (examples.UPDATE, UpdateOrder),
    (examples.TELEMETRY, documents.TelemetryDocument),
    (examples.ALIVE, health.Alive),
    (examples.READY, health.Ready),
]


@pytest.fixture
def schema(stopped) -> dict[str, Any]:
    return stopped.app.openapi()


def _operations(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]


def test_the_names_that_others_build_on_stay(schema):
    assert {name: operation["operationId"] for name, operation in _operations(schema)} == NAMES
    assert api.__all__ == ["ApiError", "ListenError", "create_app", "serve"]


@pytest.mark.parametrize(("example", "model"), EXAMPLES)
def test_an_example_is_what_the_model_says(example, model):
    """Nothing in it is unknown to the model, and nothing that the model would send is missing."""
    adapter = TypeAdapter(model)
    assert adapter.dump_python(adapter.validate_python(example), mode="json") == example


def test_every_operation_is_told_with_tag_words_example_and_problems(schema):
    tags = {tag["name"] for tag in schema["tags"]}
    for name, operation in _operations(schema):
        assert set(operation["tags"]) <= tags, name
        assert operation["description"].strip().endswith("."), name
        good = [answer for code, answer in operation["responses"].items() if code[0] in "23"]
        assert good, name
        for answer in good:
            for kind, content in answer.get("content", {}).items():
                assert kind == "image/jpeg" or "example" in content, (name, kind)
        bad = {code: answer for code, answer in operation["responses"].items() if code[0] in "45"}
        assert "500" in bad, name
        for code, answer in bad.items():
            assert set(answer["content"]) == {"application/problem+json"}, (name, code)
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], name
        if name.split()[1].startswith("/api/"):
            assert {"401", "503"} <= set(bad), name
            assert operation["security"] == [{"HTTPBearer": []}], name
        if name.split()[0] in {"post", "put", "delete"}:
            assert "403" in bad, name


def test_problem_examples_are_problems(schema):
    seen = set()
    for name, operation in _operations(schema):
        for code, answer in operation["responses"].items():
            for example in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).values():
                value = example["value"]
                seen.add(value["type"])
                assert {"type", "title", "status", "detail"} == set(value), name
                assert value["status"] == int(code)
    assert len(seen) > 10


def test_every_reference_in_the_schema_leads_somewhere(schema):
    def references(node: Any):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    found = set(references(schema))
    assert "#/components/schemas/Problem" in found
    for reference in found:
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in schema["components"][kind]


async def test_it_is_served_and_loads_nothing_from_elsewhere(archive, reader):
    answer = await reader.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["info"]["version"] == "1.2.3"
    for path in ("/docs", "/redoc"):
        assert (await reader.get(path)).status_code == 404


async def test_real_answers_are_what_the_schema_says(archive, operator, jpeg):
    """Answers are sent unchecked, for speed: here they are checked, each against the model that OpenAPI shows."""
    photo = archive.store(jpeg())
    command = (await operator.post("/api/v1/cameras/cam/shutter")).json()
    real = [
        ("/api/v1/photos", documents.PhotoPage),
        (f"/api/v1/photos/{photo}", PhotoRecord),
        ("/api/v1/cameras", documents.CameraList),
        ("/api/v1/cameras/cam", documents.CameraDocument),
        ("/api/v1/cameras/cam/telemetry", documents.TelemetryDocument),
        (f"/api/v1/commands/{command['id']}", documents.CommandDocument),
        ("/healthz", health.Alive),
        ("/readyz", health.Ready),
    ]
    answers = await asyncio.gather(*(operator.get(path) for path, _ in real))
    for (path, model), answer in zip(real, answers, strict=True):
        adapter = TypeAdapter(model)
        assert adapter.dump_python(adapter.validate_json(answer.content), mode="json") == json.loads(answer.content), (
            path
        )
