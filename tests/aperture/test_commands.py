import asyncio
import json
import os

import pytest

from aperture.commands import (
    DEFAULT_TTL_MS,
    UNKNOWN_WAKE_MS,
    WAKE_MARGIN_MS,
    ArgumentsRejectedError,
    CameraAsleepError,
    CommandRefusedError,
    Commands,
)
from aperture.contract.messages import Do, Presence, Status
from aperture.hints import Hints
from aperture.store import accounts, cameras, mailbox
from aperture.store.accounts import Role
from aperture.store.errors import NotFoundError

NOW = 1_000_000


@pytest.fixture
def hints():
    return Hints()


@pytest.fixture
def commands(database, hints):
    return Commands(database=database, hints=hints)


def _make(commands, **more):
    return commands.make(**{"camera": "cam", "do": Do.SHUTTER, "origin": "test", "now_ms": NOW} | more)


def _asleep(database, wake_at_ms):
    database.write(
        lambda one: cameras.set_presence(
            one, camera="cam", presence=Presence.ASLEEP, now_ms=NOW, next_wake_at_ms=wake_at_ms
        )
    )


async def test_a_command_is_kept_before_anyone_hears_of_it(database, commands, hints):
    with hints.listen() as listener:
        command = await _make(commands, args={"x": 1})
        assert await listener.wait(1)
    assert await commands.get(command.id) == command
    assert command.expires_at_ms == NOW + DEFAULT_TTL_MS[Do.SHUTTER]
    assert database.read(lambda one: mailbox.unsent(one, now_ms=NOW)) == [command]


@pytest.mark.parametrize("camera", ["nobody", "revoked", "dslr", "phone", ""])
async def test_who_takes_no_commands_is_asked_nothing(database, commands, camera):
    """Unknown, revoked, FTP only, or no camera at all: nothing is queued."""

    def prepare(connection):
        accounts.add(connection, name="revoked", role=Role.CAMERA, now_ms=1)
        accounts.revoke(connection, name="revoked", now_ms=2)
        accounts.add(connection, name="dslr", role=Role.CAMERA, now_ms=1, ftp_only=True)
        accounts.add(connection, name="phone", role=Role.OPERATOR, now_ms=1)

    database.write(prepare)
    with pytest.raises(NotFoundError):
        await _make(commands, camera=camera)
    assert database.read(lambda one: mailbox.unsent(one, now_ms=NOW)) == []


@pytest.mark.parametrize("do", list(Do))
async def test_everything_that_can_be_asked_has_a_time_to_live(commands, do):
    assert (await _make(commands, do=do)).expires_at_ms == NOW + DEFAULT_TTL_MS[do]
    assert (await _make(commands, do=do, ttl_ms=5)).expires_at_ms == NOW + 5


async def test_when_it_is_heard_depends_on_the_camera(database, commands):
    """Offline: nobody knows. Online: now. Asleep: at its next wake, and worth doing until then."""
    assert (await _make(commands)).expected_at_ms is None
    database.write(lambda one: cameras.set_presence(one, camera="cam", presence=Presence.ONLINE, now_ms=NOW))
    assert (await _make(commands)).expected_at_ms == NOW
    _asleep(database, NOW + 3_600_000)
    command = await _make(commands)
    assert (command.expected_at_ms, command.expires_at_ms) == (NOW + 3_600_000, NOW + 3_600_000 + WAKE_MARGIN_MS)
    assert (await _make(commands, ttl_ms=5)).expires_at_ms == NOW + 5


@pytest.mark.parametrize("wake_at_ms", [None, 2**60])
async def test_for_a_camera_that_sleeps_until_its_button_is_pressed_a_command_waits_a_day(
    database, commands, wake_at_ms
):
    """Nobody knows when it wakes (or a row says what no camera can): what is queued is there when somebody presses."""
    _asleep(database, wake_at_ms)
    command = await _make(commands)
    assert (command.expected_at_ms, command.expires_at_ms) == (None, NOW + UNKNOWN_WAKE_MS)
    assert (await _make(commands, do=Do.UPDATE)).expires_at_ms == NOW + DEFAULT_TTL_MS[Do.UPDATE]
    assert (await _make(commands, ttl_ms=5)).expires_at_ms == NOW + 5


@pytest.mark.parametrize(("wake_at_ms", "refused"), [(NOW + 1000, False), (NOW + 1001, True), (None, True)])
async def test_who_sleeps_past_the_time_is_not_asked(database, commands, wake_at_ms, refused):
    _asleep(database, wake_at_ms)
    if not refused:
        assert (await _make(commands, awake_within_ms=1000)).state == "queued"
        return
    with pytest.raises(CameraAsleepError) as caught:
        await _make(commands, awake_within_ms=1000)
    assert caught.value.next_wake_at_ms == wake_at_ms
    assert database.read(lambda one: mailbox.unsent(one, now_ms=NOW)) == []


async def test_who_is_offline_may_be_asked_with_a_time(commands):
    """It may come online any moment."""
    assert (await _make(commands, awake_within_ms=1000)).state == "queued"


async def test_settings_add_up(database, commands):
    for args in ({"quality": 80, "frame_size": "VGA"}, {"quality": 85}):
        await _make(commands, do=Do.CONFIGURE, args=args)
    assert database.read(lambda one: cameras.get(one, "cam")).config == {"quality": 85, "frame_size": "VGA"}


async def test_settings_that_are_asked_at_once_all_count(database, commands):
    """Each reads what is there and adds its own in one transaction."""
    await asyncio.gather(*(_make(commands, do=Do.CONFIGURE, args={f"s{index}": index}) for index in range(20)))
    known = database.read(lambda one: cameras.get(one, "cam")).config
    assert known == {f"s{index}": index for index in range(20)}


def _lay(folder, name, at_s=1, **more):
    facts = {"format": 1, "version": name, "mpy": "", "boards": ["aa3"]}
    facts["files"] = [{"path": "aa/app.py", "bytes": 1, "sha256": "a" * 64}]
    (folder / name).mkdir(parents=True)
    (folder / name / "bundle.json").write_text(json.dumps(facts | more))
    os.utime(folder / name / "bundle.json", (at_s, at_s))


async def test_an_update_names_its_bundle_the_newest_if_none_is_said(database, hints, tmp_path):
    """What a camera hears in days is what was newest when it was asked for."""
    commands = Commands(database=database, hints=hints, firmware_dir=tmp_path / "firmware")
    assert (await _make(commands, do=Do.UPDATE)).args == {}, "the folder is on another machine"
    _lay(tmp_path / "firmware", "old", 1)
    _lay(tmp_path / "firmware", "new", 2)
    assert (await _make(commands, do=Do.UPDATE)).args == {"bundle": "new"}
    assert (await _make(commands, do=Do.UPDATE, args={"bundle": None})).args == {"bundle": "new"}
    assert (await _make(commands, do=Do.UPDATE, args={"bundle": "old"})).args == {"bundle": "old"}


@pytest.mark.parametrize("args", [{"bundle": 7}, {"bundle": "../x"}, {"bundle": "newest"}, {"url": "http://x"}])
async def test_an_update_takes_the_name_of_a_bundle_and_nothing_else(database, commands, args):
    with pytest.raises(ArgumentsRejectedError):
        await _make(commands, do=Do.UPDATE, args=args)
    assert database.read(lambda one: mailbox.unsent(one, now_ms=NOW)) == []


async def test_an_update_that_can_t_end_well_is_not_begun(database, hints, tmp_path):
    """No such bundle; one for other boards; a camera that could not check its signature."""
    commands = Commands(database=database, hints=hints, firmware_dir=tmp_path)
    with pytest.raises(NotFoundError, match="no bundle yet"):
        await _make(commands, do=Do.UPDATE)
    _lay(tmp_path, "one")
    with pytest.raises(NotFoundError, match="'two'"):
        await _make(commands, do=Do.UPDATE, args={"bundle": "two"})
    database.write(lambda one: cameras.set_status(one, camera="cam", status=Status(board="sim"), now_ms=NOW))
    with pytest.raises(CommandRefusedError, match="aa3"):
        await _make(commands, do=Do.UPDATE)
    database.write(lambda one: one.exec_driver_sql("UPDATE camera SET update_key = NULL"))
    with pytest.raises(CommandRefusedError, match="camera rotate cam"):
        await _make(commands, do=Do.UPDATE)
    assert database.read(lambda one: mailbox.unsent(one, now_ms=NOW)) == []


async def test_cancelling_tells_how_far_it_is(database, commands):
    queued, sent = await _make(commands), await _make(commands)
    database.write(lambda one: mailbox.sent(one, command=sent.id, now_ms=NOW))
    assert (await commands.cancel(queued.id, now_ms=NOW)).state == "cancelled"
    assert (await commands.cancel(sent.id, now_ms=NOW)).state == "sent"
    for ask in (commands.get("nothing"), commands.cancel("nothing", now_ms=NOW)):
        with pytest.raises(NotFoundError):
            await ask
