import pytest

from aperture.contract.messages import Status
from aperture.store import cameras, telemetry

HOUR_MS = telemetry.HOUR_MS
AT = 1_795_000_000_000 // HOUR_MS * HOUR_MS


def _tell(archive, *pairs) -> None:
    def work(connection):
        for at_ms, battery_mv in pairs:
            status = Status(battery_mv=battery_mv, rssi_dbm=-60)
            cameras.set_status(connection, camera="cam", status=status, now_ms=at_ms)

    archive.database.write(work)


async def test_steps_tell_minimum_mean_and_maximum(archive, reader):
    _tell(archive, (AT, 3900), (AT + 10_000, 3910), (AT + 20_000, 3800), (AT + 60_000, 3700))
    answer = await reader.get("/api/v1/cameras/cam/telemetry", params={"from": AT, "to": AT + 120_000, "points": 2})
    assert answer.json()["series"]["battery_mv"] == {
        "at_ms": [AT, AT + 60_000],
        "minimum": [3800, 3700],
        "mean": [3870.0, 3700.0],
        "maximum": [3910, 3700],
    }


async def test_what_a_board_can_t_know_is_no_series(archive, reader):
    _tell(archive, (AT, 3900))
    answer = await reader.get("/api/v1/cameras/cam/telemetry", params={"from": AT, "to": AT + 1})
    assert set(answer.json()["series"]) == {"battery_mv", "rssi_dbm"}


async def test_by_default_it_is_the_last_day(archive, reader):
    body = (await reader.get("/api/v1/cameras/cam/telemetry")).json()
    assert body["to_ms"] - body["from_ms"] == 24 * HOUR_MS
    assert body["series"] == {}


@pytest.mark.parametrize(
    "params",
    [{"from": 5, "to": 5}, {"from": 6, "to": 5}, {"points": 0}, {"points": 2001}, {"from": -1}, {"to": 2**60},
     {"to": 0}, {"from": "yesterday"}],
)  # fmt: skip
async def test_a_stretch_that_makes_no_sense_is_refused(reader, params):
    assert (await reader.get("/api/v1/cameras/cam/telemetry", params=params)).status_code == 422
