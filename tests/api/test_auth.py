import asyncio
import time

import pytest

from aperture.clock import now_ms
from aperture.store import accounts
from aperture.store.accounts import Role

ID = "a" * 26
GUARDED = [
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/api/v1/cameras"),
    ("GET", "/api/v1/cameras/cam"),
    ("GET", "/api/v1/cameras/cam/telemetry"),
    ("POST", "/api/v1/cameras/cam/shutter"),
    ("POST", "/api/v1/cameras/cam/sleep"),
    ("PUT", "/api/v1/cameras/cam/config"),
    ("POST", "/api/v1/cameras/cam/update"),
    ("GET", f"/api/v1/commands/{ID}"),
    ("DELETE", f"/api/v1/commands/{ID}"),
    ("GET", "/api/v1/photos"),
    ("GET", f"/api/v1/photos/{ID}"),
    ("GET", f"/api/v1/photos/{ID}/image"),
    ("HEAD", f"/api/v1/photos/{ID}/image"),
    ("GET", f"/api/v1/photos/{ID}/thumbnail"),
    ("HEAD", f"/api/v1/photos/{ID}/thumbnail"),
    ("DELETE", f"/api/v1/photos/{ID}"),
    ("GET", "/api/v1/events"),
]
CHANGES = [pair for pair in GUARDED if pair[0] not in {"GET", "HEAD"}]


def test_the_list_above_is_every_guarded_route(stopped):
    """A new route must be put under one of the two headings by hand."""
    open_ones = {"/healthz", "/readyz", "/p/{photo}.jpg"}
    known = {(method, path) for method, path in GUARDED}
    served = set()
    for path, operations in stopped.app.openapi()["paths"].items():
        if path not in open_ones:
            concrete = path.replace("{camera}", "cam").replace("{photo}", ID).replace("{command}", ID)
            served |= {(method.upper(), concrete) for method in operations}
    assert served == {pair for pair in known if pair[0] != "HEAD" and pair[1] != "/openapi.json"}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer " + "x" * 5000, "bearer \xff", "Token x"],
)
async def test_nobody_gets_in_without_a_valid_token(stranger, header):
    """401 with a challenge on every guarded address, before anything else is looked at."""
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answers = await asyncio.gather(*(stranger.request(method, path, headers=headers) for method, path in GUARDED))
    assert {answer.status_code for answer in answers} == {401}
    for answer in answers:
        assert answer.headers["www-authenticate"].startswith('Bearer realm="aperture"')
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_in_the_url_is_no_token(archive, stranger):
    for name in ("token", "access_token"):
        answer = await stranger.get("/api/v1/photos", params={name: archive.secrets["operator"]})
        assert answer.status_code == 401


async def test_a_reader_reads_and_changes_nothing(reader):
    """403 in words on everything but reads, also where the thing itself is not there."""
    answers = [await reader.request(method, path) for method, path in CHANGES]
    assert {answer.status_code for answer in answers} == {403}
    assert all("operator" in answer.json()["detail"] for answer in answers)


async def test_a_revoked_token_is_void_within_a_second(archive, operator):
    assert (await operator.get("/api/v1/photos")).status_code == 200
    archive.database.write(lambda one: accounts.revoke_token(one, name="a-operator", now_ms=now_ms()))
    revoked = time.monotonic()
    while (await operator.get("/api/v1/photos")).status_code == 200:
        assert time.monotonic() - revoked < 1
    assert (await operator.get("/api/v1/photos")).status_code == 401


async def test_a_token_is_good_as_soon_as_it_is_made(archive, stranger):
    secret = archive.database.write(
        lambda one: accounts.create_token(one, name="new", role=Role.READER, now_ms=now_ms())
    )[1]
    answer = await stranger.get("/api/v1/photos", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200


async def test_the_database_is_not_asked_for_each_request(archive, reader, monkeypatch):
    """A page of thumbnails asks for its token once, not fifty times."""
    asked = []
    find = accounts.find_token
    monkeypatch.setattr(accounts, "find_token", lambda *given: (asked.append(1), find(*given))[1])
    began = time.monotonic()
    for _ in range(30):
        await reader.get(f"/api/v1/photos/{ID}")
    assert len(asked) <= 1 + (time.monotonic() - began) / 0.4


async def test_guesses_do_not_fill_the_memory(archive, stranger):
    from api.tokens import _MOST

    tokens = archive.app.state.services.tokens
    for index in range(_MOST + 50):
        assert await tokens.find(f"guess-{index}") is None
    assert len(tokens._known) == _MOST
    assert not any("guess" in key for key in tokens._known)


async def test_no_token_is_ever_logged(archive, stranger, operator, capsys):
    """Nor what a query holds; a failed request included."""
    secret = archive.secrets["operator"]
    await operator.get("/api/v1/photos", params={"camera": "private-query"})
    await stranger.get("/api/v1/photos", headers={"Authorization": "Bearer nearly-right"})
    archive.app.state.services.probe  # noqa: B018 - the server is there
    archive.app.add_api_route("/broken", _broken)
    answer = await operator.get("/broken", params={"token": "query-secret"})
    assert answer.status_code == 500
    written = "".join(capsys.readouterr())
    assert "/broken" in written
    assert "ZeroDivisionError" in written
    for hidden in (secret, "private-query", "nearly-right", "query-secret"):
        assert hidden not in written
        assert hidden not in answer.text


async def _broken():
    return 1 / 0
