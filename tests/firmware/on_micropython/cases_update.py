"""Updates: what is believed, what is written where, and what becomes of it when it is cut off."""

import asyncio
import json
import os
import sys

from aa import VERSION, bundle, net, slots, update
from aa.bundle import BadBundle
from aa.ftpwire import FtpError, FtpLost
from aa.spare import Spare
from aa.tls import NOT_TRUSTED, TlsError
from helpers import araises, raises, until
from update_booth import FILES, KEY, App, exists, manifest, read_bytes


def the_signature_is_that_of_rfc_4231():
    """Its first test case; and nothing else, however near, is taken."""
    key, data = b"\x0b" * 20, b"Hi There"
    right = b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    bundle.check_signature(key, data, right)
    bundle.check_signature(key, data, right + b"\n")
    for wrong in (right[:-1] + b"8", b"c" + right[1:], right[:-1], right + b"0", b"", right.upper()):
        assert raises(BadBundle, bundle.check_signature, key, data, wrong).error == "bad_signature"
    assert raises(BadBundle, bundle.check_signature, b"\x0c" * 20, data, right).error == "bad_signature"
    assert raises(BadBundle, bundle.check_signature, key, data + b" ", right).error == "bad_signature"


def only_a_whole_key_is_one():
    assert bundle.key_of({"update_key": "00" * 32}) == bytes(32)
    for secrets in ({}, {"update_key": None}, {"update_key": "00" * 31}, {"update_key": "xx" * 32}, {"update_key": 7}):
        assert raises(BadBundle, bundle.key_of, secrets).error == "no_update_key"


def what_is_no_bundle_is_told_from_one():
    """Whatever is signed: nothing may be written but modules, below aa and boards."""
    good = {"path": "aa/x.py", "bytes": 0, "sha256": "0" * 64}
    assert bundle.parse(manifest({"aa/x.py": b""}), "sim")[0] == "9"
    for body in (b"", b"[]", b"{}", b"7", manifest(FILES)[:-1]):
        assert raises(BadBundle, bundle.parse, body, "sim").error == "bad_bundle"
    for more in ({"format": 2}, {"version": 9}, {"version": ""}, {"files": []}, {"files": [good] * 257}):
        assert raises(BadBundle, bundle.parse, manifest(FILES, **more), "sim").error == "bad_bundle"
    paths = ("/main.py", "main.py", "aa/../main.py", "../a/aa/x.py", "aa/x.txt", "aa/X.py", "aa", "bundle.json", "", 3)
    changes = [{"path": path} for path in paths]
    changes += [{"bytes": -1}, {"bytes": 300_000}, {"bytes": "1"}, {"sha256": ""}, {"sha256": 4}]
    for change in changes:
        one = dict(good)
        one.update(change)
        assert raises(BadBundle, bundle.parse, manifest({}, files=[one]), "sim").error == "bad_bundle", change


def a_bundle_for_others_is_told():
    assert raises(BadBundle, bundle.parse, manifest(FILES, boards=["aa3"]), "sim").error == "wrong_board"
    assert raises(BadBundle, bundle.parse, manifest(FILES, mpy="5.2"), "sim").error == "wrong_mpy"
    for more in ({"boards": []}, {"mpy": "6.3"}, {"mpy": "6.1"}):
        assert bundle.parse(manifest(FILES, **more), "sim")


async def a_slot_keeps_whole_files_and_loses_all_else():
    """Its seal first."""
    wanted = bundle.parse(manifest(FILES), "sim")[1]
    spare = Spare("b")
    assert await spare.empty_but(wanted) == wanted
    for one in wanted:
        with spare.create(one) as file:
            file.write(FILES[one["path"]])
    spare.seal(b"{}")
    for path in ("b/stray", "b/aa/old.py"):
        with open(path, "wb") as file:
            file.write(b"old")
    with open("b/aa/app.py", "wb") as file:
        file.write(bytes(8999))
    assert [one["path"] for one in await spare.empty_but(wanted)] == ["aa/app.py"]
    assert not any(exists("b/" + path) for path in ("bundle.json", "stray", "aa/old.py", "aa/app.py"))
    assert read_bytes("b/aa/deep/er.mpy") == b"M\x06"
    with open("b/aa/app.py", "wb") as file:
        file.write(bytes(8999) + b"\x01")
    assert len(await spare.empty_but(wanted)) == 1, "of the same length"


async def a_bundle_is_written_to_the_other_slot_and_booted_on_trial():
    app = App()
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots"
    assert all(read_bytes("b/" + path) == data for path, data in FILES.items())
    assert read_bytes("b/bundle.json") == app.served["bundle.json"]
    assert slots.on_trial() == "b" and json.loads(read_bytes("slots.json")) == {
        "active": "a",
        "trial": {"slot": "b", "boots": 0},
    }
    assert app.updater.busy and not app.ended, "the reply comes from who runs then"
    percents = [reply["progress"] for reply in app.replies]
    assert percents == sorted(percents) and percents[-1] == 100
    assert all(reply["command"] == "c1" and "ok" not in reply for reply in app.replies)


async def the_new_firmware_answers_once_it_has_reached_the_broker():
    """Not before, whatever else it does."""
    app = App()
    app.stop()
    update.VERSION = "9"
    slots.start_trial()
    sys.path.insert(0, "/b")
    files = {"command": "c1", "bundle": "new", "starts": 1, "version": "9", "tried": True}
    with open("update.json", "w") as file:
        json.dump(files, file)
    app.is_up = False
    app.start()
    await asyncio.sleep_ms(50)
    assert not app.ended and app.updater.has("c1")
    app.is_up = True
    app.updater.online()
    await until(lambda: app.ended)
    assert app.ended == [("c1", True, None)]
    assert slots.on_trial() is None and json.loads(read_bytes("slots.json"))["active"] == "b"
    assert not exists("update.json") and not app.updater.busy and not app.read


async def the_old_firmware_says_that_the_new_one_failed():
    app = App()
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots"
    app.stop()
    os.remove("slots.json")
    app.start()
    await until(lambda: app.ended)
    assert app.ended == [("c1", False, "rolled_back")]
    assert app.reboots == 1 and not exists("update.json")


async def what_runs_already_is_not_fetched_again():
    app = App(version=VERSION)
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == ("c1", True, None)
    assert app.read == ["bundle.json", "bundle.sig"] and not exists("b")


async def _refusal(app, args=None):
    app.updater.begin("c1", args or {"bundle": "new"})
    outcome = await app.outcome()
    app.stop()
    assert not exists("update.json") and not exists("slots.json") and not exists("b/bundle.json")
    assert not app.reboots
    return outcome[2]


async def nothing_is_written_that_is_not_signed_by_its_own_key():
    app = App(key=b"\x01" + KEY[1:])
    assert await _refusal(app) == "bad_signature"
    assert app.read == ["bundle.json", "bundle.sig"] and not exists("b")
    app = App()
    app.served["bundle.json"] = app.served["bundle.json"].replace(b"9000", b"9001")
    assert await _refusal(app) == "bad_signature"
    app = App()
    app.secrets = {}
    assert await _refusal(app) == "no_update_key"
    assert not exists("b") and app.read == []


async def a_file_that_is_not_what_was_signed_ends_it():
    """Another byte, one too few, one too many, or none at all; the slot stays without its seal."""
    for data in (b"\x01" + bytes(8999), bytes(8999), bytes(9001), b""):
        app = App()
        app.served["aa/app.py"] = data
        assert await _refusal(app) == "bad_bundle"


async def what_the_server_lacks_is_told():
    app = App()
    del app.served["bundle.sig"]
    assert await _refusal(app) == "no_update_key"
    app = App()
    del app.served["bundle.json"]
    assert await _refusal(app) == "unknown_bundle"


async def an_endless_bundle_json_is_not_kept():
    app = App()
    app.served["bundle.json"] = bytes(50_000)
    assert await _refusal(app) == "bad_bundle"


async def a_low_battery_updates_nothing():
    app = App()
    app.percent = 19
    assert await _refusal(app) == "battery_low"
    assert app.read == []
    app = App()
    app.percent, app.on_usb = 19, True
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots", "the power is not the battery's"


async def without_a_second_slot_there_is_no_update():
    app = App()
    while "/a" in sys.path:
        sys.path.remove("/a")
    assert await _refusal(app) == "no_slots"


async def what_does_not_fit_is_told_before_anything_is_fetched():
    app = App()
    whole = update.files.free_kb
    update.files.free_kb = lambda path: 64 + 15
    try:
        assert await _refusal(app) == "no_space"
        assert app.read == ["bundle.json", "bundle.sig"]
        update.files.free_kb = lambda path: 64 + 24
        app = App()
        app.updater.begin("c1", {"bundle": "new"})
        assert await app.outcome() == "reboots"
    finally:
        update.files.free_kb = whole


async def flash_that_reads_back_wrong_boots_nothing():
    """What was received is right, and what was written is not."""
    app = App()
    create = Spare.create

    class Bad:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, piece):
            self.file.write(bytes(len(piece)))

    Spare.create = lambda spare, one: Bad(create(spare, one))
    try:
        assert await _refusal(app) == "bad_flash"
    finally:
        Spare.create = create


def bad_arguments_are_refused_at_once():
    app = App()
    for name in ("../x", "a/b", ".building-x", "x" * 65, 7, ["x"], "a b"):
        assert raises(BadBundle, app.updater.begin, "c1", {"bundle": name}).error == "bad_args", name
    app.updater.begin("c1", {})
    assert raises(BadBundle, app.updater.begin, "c2", {}).error == "busy"
    app.updater.begin("c1", {})
    app.stop()


async def a_link_that_breaks_goes_on_where_it_was():
    """Files that are whole are not fetched twice."""
    update.Backoff = lambda *_: Pauses()
    app = App()
    broken = []

    def fail(path):
        if path == "aa/app.py" and len(broken) < 3:
            broken.append(path)
            raise (FtpLost("cut"), OSError(104), asyncio.TimeoutError())[len(broken) - 1]

    app.fail = fail
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots"
    assert app.read.count("aa/app.py") == 4 and app.read.count("boards/sim.py") == 1
    assert app.read.count("aa/__init__.py") == 1


class Pauses:
    def next_ms(self):
        return 1


async def ram_that_is_short_is_waited_for():
    update.Backoff = lambda *_: Pauses()
    app = App()
    short = []

    def fail(path):
        if path == "aa/app.py" and len(short) < 3:
            short.append(path)
            raise MemoryError

    app.fail = fail
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots" and len(short) == 3


async def an_update_that_never_has_the_ram_ends():
    update.Backoff = lambda *_: Pauses()
    app = App()
    app.fail = _short_of_ram
    assert await _refusal(app) == "interrupted"


def _short_of_ram(path):
    raise MemoryError


async def flash_that_takes_no_more_is_told_before_anything_is_fetched():
    app = App()
    app.updater.begin("c1", {"bundle": "new"})
    mend = _full("./update.json")
    assert await app.outcome() == ("c1", False, "no_space") and app.read == []
    mend()


async def a_trial_that_can_be_written_down_alone_is_tried():
    await _tried_though_it_is_not_noted(OSError(28))


async def a_trial_that_there_is_no_ram_to_note_is_tried():
    """It is on trial already: to call it failed would be wrong, and to try again without end as well."""
    await _tried_though_it_is_not_noted(MemoryError())


async def _tried_though_it_is_not_noted(cause):
    app = App()
    save, saves = app.updater._save, []

    def third():
        saves.append(slots.on_trial())
        if saves[-1]:
            raise cause
        save()

    app.updater._save = third
    app.updater.begin("c1", {"bundle": "new"})
    assert await app.outcome() == "reboots"
    assert saves == [None, None, "b"] and not json.loads(read_bytes("update.json"))["tried"]


def _full(path):
    """Let a file be written no more, until the function that this returns is called."""
    whole = update.files.write_json

    def write(to, value):
        if to == path:
            raise OSError(28)
        whole(to, value)

    def mend():
        update.files.write_json = whole

    update.files.write_json = write
    return mend


async def a_server_that_never_answers_ends_it():
    update.Backoff = lambda *_: Pauses()
    app = App()

    def fail(path):
        raise FtpError(421, "closing")

    app.fail = fail
    assert await _refusal(app) == "interrupted"
    assert len(app.read) == 10


async def a_power_cut_goes_on_where_it_was_and_not_for_ever():
    """Five starts: an update that resets the camera is one of those that end."""
    app = App()

    def fail(path):
        if path == "boards/sim.py":
            raise RuntimeError("power")

    app.fail = fail
    app.updater.begin("c1", {"bundle": "new"})
    for start in range(1, 6):
        await until(lambda start=start: app.read.count("boards/sim.py") == start)
        assert json.loads(read_bytes("update.json"))["starts"] == start
        assert app.read.count("aa/app.py") == 1
        await until(app.running.done)
        app.start()
    assert await app.outcome() == ("c1", False, "interrupted")
    assert not exists("update.json")


class _Impostor:
    """A stream whose other end has no certificate of ours, as MicroPython tells it."""

    async def read(self, most):
        raise ValueError("The certificate is not correctly signed by the trusted CA\n")


async def an_impostor_on_the_data_connection_is_a_lost_link():
    """Not the end of the part of the camera that updates."""
    error = await araises(TlsError, net.receive(_Impostor(), 10, 1000))
    assert error.kind == NOT_TRUSTED and isinstance(error, update._LOST)
