from aperture.clock import now_ms
from aperture.store import mailbox


async def _made(operator) -> dict:
    return (await operator.post("/api/v1/cameras/cam/shutter")).json()


async def test_a_command_can_be_looked_up(operator, reader):
    command = await _made(operator)
    answer = await reader.get(f"/api/v1/commands/{command['id']}")
    assert (answer.status_code, answer.json()) == (200, command)


async def test_a_command_that_was_not_sent_is_taken_back(archive, operator):
    """The bridge will never see it again; and taking it back twice is no mistake."""
    command = await _made(operator)
    for _ in range(2):
        answer = await operator.delete(f"/api/v1/commands/{command['id']}")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert archive.database.read(lambda one: mailbox.unsent(one, now_ms=now_ms())) == []


async def test_a_command_that_was_sent_can_t_be_taken_back(archive, operator):
    """It may have been done: 409 says how far it is, and it stays open for the camera's reply."""
    command = await _made(operator)
    archive.database.write(lambda one: mailbox.sent(one, command=command["id"], now_ms=now_ms()))
    answer = await operator.delete(f"/api/v1/commands/{command['id']}")
    assert (answer.status_code, answer.json()["state"]) == (409, "sent")
    assert (await operator.get(f"/api/v1/commands/{command['id']}")).json()["state"] == "sent"
