"""The stand-in refuses what Discord refuses, in Discord's words."""

import pytest

ONE = {"content": "hello"}


def codes(body):
    """All error codes in a tree of form errors, by path."""
    found = {}

    def walk(node, path):
        for key, below in node.items():
            if key == "_errors":
                found[".".join(path)] = below[0]["code"]
            else:
                walk(below, [*path, key])

    walk(body["errors"], [])
    return found


def embed(**fields):
    return {"embeds": [{"title": "t", **fields}]}


async def test_a_photo_is_accepted_and_answered_with_the_message(post, discord, jpeg):
    payload = {
        "embeds": [{"title": "porch", "image": {"url": "attachment://a.jpg"}, "footer": {"text": "id"}, "color": 5}],
        "attachments": [{"id": 0, "filename": "a.jpg", "description": "alt"}],
        "allowed_mentions": {"parse": []},
    }
    status, body, headers = await post(payload, files={0: ("a.jpg", jpeg)})
    assert status == 200
    assert body["channel_id"] == discord.webhook.channel_id
    assert body["attachments"][0]["size"] == len(jpeg)
    assert body["attachments"][0]["description"] == "alt"
    assert body["embeds"][0]["image"]["url"].startswith(discord.url + "/attachments/")
    assert headers["Via"]
    [message] = discord.messages
    assert message.id == body["id"]
    assert message.attachments[0].data == jpeg
    assert message.received_ns == discord.requests[0].received_ns > discord.requests[0].started_ns
    assert discord.requests[0].sha256 == (message.attachments[0].sha256,)


async def test_without_wait_there_is_no_message_in_the_answer(post, discord):
    status, body, _ = await post(ONE, query="")
    assert (status, body) == (204, "")
    assert len(discord.messages) == 1


LIMITS = {
    "content": ({"content": "x" * 2001}, "content", "BASE_TYPE_MAX_LENGTH"),
    "content type": ({"content": 5}, "content", "STRING_TYPE_CONVERT"),
    "username long": (ONE | {"username": "x" * 81}, "username", "BASE_TYPE_MAX_LENGTH"),
    "username empty": (ONE | {"username": ""}, "username", "BASE_TYPE_BAD_LENGTH"),
    "username clyde": (ONE | {"username": "my Clyde"}, "username", "USERNAME_INVALID_CONTAINS"),
    "username discord": (ONE | {"username": "Discord"}, "username", "USERNAME_INVALID_CONTAINS"),
    "unknown key": (ONE | {"contents": "x"}, "contents", "UNKNOWN_KEY"),
    "unknown key in embed": (embed(colour=3), "embeds.0.colour", "UNKNOWN_KEY"),
    "tts": (ONE | {"tts": "yes"}, "tts", "BOOLEAN_TYPE_CONVERT"),
    "flags": (ONE | {"flags": 1 << 6}, "flags", "BITFIELD_INVALID_FLAGS"),
    "embeds count": ({"embeds": [{"title": "t"}] * 11}, "embeds", "BASE_TYPE_BAD_LENGTH"),
    "embeds type": ({"embeds": {"title": "t"}}, "embeds", "LIST_TYPE_CONVERT"),
    "title": (embed(title="x" * 257), "embeds.0.title", "BASE_TYPE_MAX_LENGTH"),
    "description": (embed(description="x" * 4097), "embeds.0.description", "BASE_TYPE_MAX_LENGTH"),
    "fields": (embed(fields=[{"name": "n", "value": "v"}] * 26), "embeds.0.fields", "BASE_TYPE_BAD_LENGTH"),
    "field name": (
        embed(fields=[{"name": "x" * 257, "value": "v"}]),
        "embeds.0.fields.0.name",
        "BASE_TYPE_MAX_LENGTH",
    ),
    "field value": (
        embed(fields=[{"name": "n", "value": "x" * 1025}]),
        "embeds.0.fields.0.value",
        "BASE_TYPE_MAX_LENGTH",
    ),
    "field without value": (embed(fields=[{"name": "n"}]), "embeds.0.fields.0.value", "BASE_TYPE_REQUIRED"),
    "footer": (embed(footer={"text": "x" * 2049}), "embeds.0.footer.text", "BASE_TYPE_MAX_LENGTH"),
    "author": (embed(author={"name": "x" * 257}), "embeds.0.author.name", "BASE_TYPE_MAX_LENGTH"),
    "colour": (embed(color=1 << 24), "embeds.0.color", "BASE_TYPE_INVALID"),
    "colour as text": (embed(color="5"), "embeds.0.color", "NUMBER_TYPE_COERCE"),
    "timestamp": (embed(timestamp="yesterday"), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
    "url": (embed(url="javascript:alert(1)"), "embeds.0.url", "URL_TYPE_INVALID_SCHEME"),
    "empty embed": ({"embeds": [{"color": 3}]}, "embeds.0.description", "BASE_TYPE_REQUIRED"),
    "6000 over all": (
        {"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]},
        "embeds",
        "MAX_EMBED_SIZE_EXCEEDED",
    ),
    "attachment:// nobody has": (
        embed(image={"url": "attachment://b.jpg"}),
        "embeds.0.image.url",
        "ATTACHMENT_NOT_FOUND",
    ),
    "mentions": (ONE | {"allowed_mentions": {"parse": ["all"]}}, "allowed_mentions.parse.0", "BASE_TYPE_CHOICES"),
    "mentions users": (
        ONE | {"allowed_mentions": {"users": ["bob"]}},
        "allowed_mentions.users.0",
        "NUMBER_TYPE_COERCE",
    ),
    "attachment without file": (ONE | {"attachments": [{"id": 1}]}, "attachments.0", "ATTACHMENT_NOT_FOUND"),
    "attachment id": (ONE | {"attachments": [{"id": "first"}]}, "attachments.0.id", "NUMBER_TYPE_COERCE"),
    "attachment id twice": (ONE | {"attachments": [{"id": 0}, {"id": "0"}]}, "attachments.1", "ATTACHMENT_DUPLICATE"),
    "alt text": (
        ONE | {"attachments": [{"id": 0, "description": "x" * 1025}]},
        "attachments.0.description",
        "BASE_TYPE_MAX_LENGTH",
    ),
    "v2 with content": (
        ONE | {"flags": 32768, "components": [{}]},
        "flags",
        "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
    ),
    "no object": (["hello"], "", "MODEL_TYPE_CONVERT"),
}


@pytest.mark.parametrize("case", LIMITS.values(), ids=LIMITS)
async def test_a_broken_limit_is_a_50035_with_its_path(post, discord, jpeg, case):
    payload, where, code = case
    status, body, _ = await post(payload, files={0: ("a.jpg", jpeg)})
    assert (status, body["code"]) == (400, 50035)
    assert codes(body)[where] == code
    assert discord.messages == []
    assert discord.requests[0].status == 400


@pytest.mark.parametrize(
    "payload",
    [
        {"content": "x" * 2000},
        {"embeds": [{"title": "x" * 256}] * 10},
        {"embeds": [{"description": "x" * 4096}, {"description": "x" * 1904}]},
        ONE | {"flags": 4096, "username": "x" * 80, "components": None},
        {"poll": {"question": {"text": "?"}}},
    ],
)
async def test_what_just_fits_is_accepted(post, payload):
    assert (await post(payload))[0] == 200


@pytest.mark.parametrize("payload", [{}, {"content": " \n"}, {"embeds": []}, {"allowed_mentions": {"parse": []}}])
async def test_an_empty_message_is_50006(post, payload):
    status, body, _ = await post(payload)
    assert (status, body["code"]) == (400, 50006)


async def test_a_file_over_10_mib_is_413_and_one_of_10_mib_is_not(post):
    status, body, _ = await post(ONE, files={0: ("a.jpg", bytes(10 * 1024 * 1024 + 1))})
    assert (status, body["code"]) == (413, 40005)
    assert (await post(ONE, files={0: ("a.jpg", bytes(10 * 1024 * 1024))}))[0] == 200


async def test_a_request_over_25_mib_is_413(post, discord):
    files = {index: (f"{index}.jpg", bytes(9 * 1024 * 1024)) for index in range(3)}
    status, body, _ = await post(ONE, files=files)
    assert (status, body["code"]) == (413, 40005)
    assert discord.requests[0].received_ns is None


async def test_unknown_webhook_wrong_token_and_bad_id(post, discord, http):
    api = f"{discord.api_base}/webhooks"
    for path, status, code in (
        ("123/abc", 404, 10015),
        (f"{discord.webhook.id}/abc", 401, 50027),
        ("front-door/abc", 400, 50035),
    ):
        async with http.post(f"{api}/{path}", json=ONE) as answer:
            assert (answer.status, (await answer.json())["code"]) == (status, code)
    discord.webhooks.delete(discord.webhook.id)
    assert (await post(ONE))[0] == 404


async def test_a_rotated_token_opens_nothing_any_more(discord, http):
    old = f"{discord.api_base}/webhooks/{discord.webhook.id}/{discord.webhook.token}"
    discord.webhooks.rotate(discord.webhook.id)
    async with http.post(old, json=ONE) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, 50027)


async def test_a_foreign_user_agent_is_blocked_at_the_edge(discord, http):
    url = f"{discord.api_base}/webhooks/{discord.webhook.id}/{discord.webhook.token}"
    async with http.post(url, json=ONE, headers={"User-Agent": "python-requests/2.32"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, 40333)


BODIES = {
    "no boundary": ("multipart/form-data", b"--b\r\n\r\n", "MULTIPART_INVALID"),
    "no end": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="payload_json"\r\n\r\n{}',
        "MULTIPART_INVALID",
    ),
    "part without name": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--b--",
        "MULTIPART_INVALID",
    ),
    "part without headers": ("multipart/form-data; boundary=b", b"--b\r\n{}\r\n--b--", "MULTIPART_INVALID"),
    "unknown part": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--',
        "MULTIPART_INVALID",
    ),
    "quoted brackets": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="files%5B0%5D"; filename="a"\r\n\r\nx\r\n--b--',
        "MULTIPART_INVALID",
    ),
    "file without filename": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="files[0]"\r\n\r\nx\r\n--b--',
        "MULTIPART_INVALID",
    ),
    "part twice": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="payload_json"\r\n\r\n{}' * 2 + b"\r\n--b--",
        None,
    ),
    "other type": ("text/plain", b"hello", "CONTENT_TYPE_INVALID"),
    "no JSON": ("application/json", b"{content: 1}", None),
}


@pytest.mark.parametrize(("content_type", "body", "code"), BODIES.values(), ids=BODIES)
async def test_a_body_of_the_wrong_shape_is_refused(discord, http, content_type, body, code):
    url = f"{discord.api_base}/webhooks/{discord.webhook.id}/{discord.webhook.token}"
    async with http.post(url, data=body, headers={"Content-Type": content_type}) as answer:
        refused = await answer.json()
        assert answer.status == 400
    if code is None:
        assert refused["code"] == 50109
    else:
        assert refused["errors"]["_errors"][0]["code"] == code


async def test_payload_json_and_files_are_taken_once(discord, http):
    part = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n{}\r\n'
    url = f"{discord.api_base}/webhooks/{discord.webhook.id}/{discord.webhook.token}"
    for name in (b"payload_json", b"files[0]"):
        body = part % name + part % name + b"--b--\r\n"
        async with http.post(url, data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, 50035)


async def test_json_alone_is_enough_for_text(discord, http):
    url = f"{discord.api_base}/webhooks/{discord.webhook.id}/{discord.webhook.token}?wait=1"
    async with http.post(url, json=ONE) as answer:
        assert (answer.status, (await answer.json())["content"]) == (200, "hello")
    async with http.post(url.replace("wait=1", "wait=perhaps"), json=ONE) as answer:
        assert answer.status == 400


async def test_threads_and_forums_have_rules_of_their_own(post, discord):
    thread = discord.webhooks.add(threads=1)
    thread_id = next(iter(thread.threads))
    status, body, _ = await post(ONE, webhook=thread, query=f"?wait=true&thread_id={thread_id}")
    assert (status, body["channel_id"]) == (200, thread_id)
    assert (await post(ONE, webhook=thread, query="?thread_id=5"))[1]["code"] == 10003
    assert (await post(ONE | {"thread_name": "new"}, webhook=thread))[1]["code"] == 220003
    forum = discord.webhooks.add(forum=True)
    assert (await post(ONE, webhook=forum))[1]["code"] == 220001
    status, body, _ = await post(ONE | {"thread_name": "new"}, webhook=forum)
    assert status == 200
    both = await post(ONE | {"thread_name": "new"}, webhook=forum, query=f"?thread_id={body['channel_id']}")
    assert both[1]["code"] == 220002


async def test_get_edit_and_delete_a_message(post, discord, http, jpeg):
    """In a thread all three need the thread's id; an edit keeps the attachments that it lists."""
    hook = discord.webhooks.add(threads=1)
    query = f"?wait=true&thread_id={next(iter(hook.threads))}"
    payload = {"embeds": [{"title": "t", "image": {"url": "attachment://a.jpg"}}]}
    _, made, _ = await post(payload, files={0: ("a.jpg", jpeg)}, webhook=hook, query=query)
    url = f"{discord.api_base}/webhooks/{hook.id}/{hook.token}/messages/{made['id']}"
    async with http.get(url) as answer:
        assert (await answer.json())["code"] == 10008
    async with http.get(url + query) as answer:
        assert (await answer.json())["id"] == made["id"]

    edit = {"content": "late", "attachments": [{"id": made["attachments"][0]["id"]}]}
    status, edited, _ = await post(edit, webhook=hook, query=query, message_id=made["id"])
    assert status == 200
    assert edited["attachments"] == made["attachments"]
    assert edited["edited_timestamp"]
    assert edited["embeds"][0]["image"] == made["embeds"][0]["image"]
    _, swapped, _ = await post(
        payload | {"attachments": [{"id": 0}]},
        files={0: ("a.jpg", jpeg + b"2")},
        webhook=hook,
        query=query,
        message_id=made["id"],
    )
    assert [one["size"] for one in swapped["attachments"]] == [len(jpeg) + 1]
    assert (await post({"username": "x"}, webhook=hook, query=query, message_id=made["id"]))[0] == 400

    async with http.delete(url + query) as answer:
        assert answer.status == 204
    async with http.delete(url + query) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, 10008)
    assert discord.messages == []


async def test_get_webhook_tells_its_channel(discord, http):
    async with http.get(f"{discord.api_base}/webhooks/{discord.webhook.id}/{discord.webhook.token}") as answer:
        assert (await answer.json())["channel_id"] == discord.webhook.channel_id


async def test_the_webhook_url_is_of_discords_form(discord):
    assert discord.webhook_url(thread_id="7") == (
        f"https://discord.com/api/webhooks/{discord.webhook.id}/{discord.webhook.token}?thread_id=7"
    )
