import pytest

from aperture.store.errors import DiskFullError, StoreError, StoreUnavailableError


def _is_problem(answer, status: int, slug: str) -> dict:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:aperture:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/", 404, "no-such-route"),
        ("GET", "/api/v1/photos/", 404, "no-such-route"),
        ("GET", "/docs", 404, "no-such-route"),
        ("GET", "/redoc", 404, "no-such-route"),
        ("GET", "/api/v1/photos/" + "a" * 26, 404, "not-found"),
        ("GET", "/api/v1/cameras/nobody", 404, "not-found"),
        ("POST", "/api/v1/cameras/nobody/shutter", 404, "not-found"),
        ("POST", "/api/v1/cameras/nobody/shutter?wait=1", 404, "not-found"),
        ("GET", "/api/v1/cameras/nobody/telemetry", 404, "not-found"),
        ("GET", "/api/v1/commands/nothing", 404, "not-found"),
        ("DELETE", "/api/v1/commands/nothing", 404, "not-found"),
        ("PATCH", "/api/v1/photos", 405, "method-not-allowed"),
        ("BREW", "/api/v1/photos", 400, "not-http"),
        ("GET", "/api/v1/photos?limit=0", 422, "invalid-request"),
        ("GET", "/api/v1/photos?limit=many", 422, "invalid-request"),
        ("POST", "/api/v1/cameras/cam/shutter?wait=61", 422, "invalid-request"),
        ("POST", "/api/v1/cameras/cam/shutter?wait=-1", 422, "invalid-request"),
        ("POST", "/api/v1/cameras/cam/shutter?wait=nan", 422, "invalid-request"),
        ("GET", "/api/v1/cameras/Not-A-Slug", 422, "invalid-request"),
        ("PUT", "/api/v1/cameras/cam/config", 422, "invalid-request"),
    ],
)
async def test_every_error_is_a_problem_document(operator, method, path, status, slug):
    """RFC 9457, whoever noticed: the router, the validation, a handler."""
    _is_problem(await operator.request(method, path), status, slug)


async def test_a_405_names_what_is_allowed(operator):
    answer = await operator.put("/api/v1/photos")
    assert answer.headers["allow"] == "GET"


async def test_what_was_wrong_is_named_and_never_repeated(operator):
    """The input may be a secret that went into the wrong field."""
    answer = await operator.put("/api/v1/cameras/cam/config", json={"Wrong Name": "my-secret-value" * 40})
    body = _is_problem(answer, 422, "invalid-request")
    assert body["errors"]
    assert "my-secret-value" not in answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"{}", b'{"a":{"b":1}}', b'{"quality":[1]}', b"\xff\xfe"])
async def test_a_body_that_is_no_settings_is_refused(operator, body):
    answer = await operator.put(
        "/api/v1/cameras/cam/config", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_too_large_is_a_413_said_or_not(operator):
    """By its Content-Length, and, sent in chunks without one, by what arrives."""
    path = "/api/v1/cameras/cam/config"
    headers = {"Content-Type": "application/json"}
    _is_problem(await operator.put(path, content=b" " * 70_000, headers=headers), 413, "too-large")

    async def chunks():
        for _ in range(70):
            yield b" " * 1000

    _is_problem(await operator.put(path, content=chunks(), headers=headers), 413, "too-large")


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (StoreUnavailableError("locked at /secret/path"), 503, "unavailable"),
        (DiskFullError("the disk with the photos is full: make room"), 507, "disk-full"),
        (StoreError("odd"), 500, "internal"),
        (ZeroDivisionError("oops /secret/path"), 500, "internal"),
    ],
)
async def test_the_store_s_troubles_have_answers_of_their_own(archive, operator, monkeypatch, error, status, slug):
    async def fail(_work):
        raise error

    assert (await operator.get("/api/v1/cameras")).status_code == 200
    monkeypatch.setattr(archive.database, "aread", fail)
    answer = await operator.get("/api/v1/cameras")
    _is_problem(answer, status, slug)
    assert "/secret/path" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_database_that_is_gone_lets_nobody_in(archive, stranger, monkeypatch):
    """Not a 401, which would have the owner look for a lost token; and not a 200."""

    async def fail(_work):
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(archive.database, "aread", fail)
    headers = {"Authorization": f"Bearer {archive.secrets['operator']}"}
    _is_problem(await stranger.get("/api/v1/photos", headers=headers), 503, "unavailable")


async def test_browsers_are_kept_careful_on_every_answer(archive, operator, stranger, jpeg):
    photo = archive.store(jpeg(64, 48))
    answers = [
        await operator.get("/api/v1/photos"),
        await operator.get(f"/api/v1/photos/{photo}/image"),
        await stranger.get(f"/p/{photo}.jpg"),
        await stranger.get("/nowhere"),
        await stranger.get("/api/v1/photos"),
        await stranger.get("/healthz"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        assert "cache-control" in answer.headers


async def test_the_host_header_changes_nothing(archive, operator, jpeg):
    """Links and redirects are never made of what the asker says the host is."""
    archive.store(jpeg(64, 48))
    for path in ("/api/v1/photos", "/api/v1/photos/", "/openapi.json", "/nowhere"):
        answer = await operator.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        assert "evil.example" not in answer.text + str(answer.headers)
