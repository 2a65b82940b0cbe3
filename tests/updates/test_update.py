"""New firmware over the network, with real servers: whatever it is and whenever it is cut off, the camera works on."""

import asyncio
import json
import shutil

import aiomqtt
import pytest

from aperture.contract.messages import Do
from simulator.camera import VirtualCamera
from simulator.firmware import device_files
from simulator.link import Link, Quality

pytestmark = pytest.mark.timeout(180)

OURS = "0.1.0"
MQTT_PORT = 'self._host, self._port = secrets["mqtt"]["host"], secrets["mqtt"]["port"]'
NOBODY = 'self._host, self._port = secrets["mqtt"]["host"], 1'
MAKE_APP = '        self.secrets = load_secrets(folder + "/secrets.json")\n'


async def test_a_camera_is_updated_and_answers_with_what_it_runs(server, camera, make_bundle, eventually):
    """Fetched compiled, tried, confirmed: the reply is the new firmware's, and its settings and photos are there."""
    await camera.press()
    await server.ended(await server.ask(camera.name, Do.CONFIGURE, quality=44))
    bundle = make_bundle("2.0.0+compiled", compiled=True)
    assert bundle.manifest.mpy
    assert server.firmware(camera.name) == OURS
    command = await server.ask(camera.name, bundle=bundle.name)
    seen = []
    await eventually(lambda: seen.append(server.look(command).progress) or seen[-1] == 100, "all of it")
    assert (await server.ended(command)).detail == "2.0.0+compiled"
    percents = [percent for percent in seen if percent is not None]
    assert percents == sorted(percents)
    assert len(set(percents)) > 3
    assert camera.slots == {"active": "b", "trial": None}
    assert not list((camera.flash / "b").rglob("*.py"))
    await eventually(lambda: server.firmware(camera.name) == "2.0.0+compiled", "its status says so")
    assert json.loads((camera.flash / "settings.json").read_text())["quality"] == 44
    await camera.is_well()


async def test_there_and_back(server, camera, make_bundle):
    """The slots take turns; the firmware that was flashed is a bundle like any other. It stays over a power cut."""
    for version, active in (("2.1.0", "b"), ("2.2.0", "a"), ("2.3.0", "b")):
        make_bundle(version)
        assert await server.update(camera.name, version) == ("done", version)
        assert camera.slots == {"active": active, "trial": None}
    await camera.kill()
    await camera.power_on()
    await camera.says("version=2.3.0", 2)
    await camera.is_well()


async def test_what_runs_already_is_left_alone(server, camera, make_bundle):
    make_bundle("2.4.0")
    await server.update(camera.name, "2.4.0")
    before = (camera.flash / "slots.json").stat().st_mtime_ns
    state, detail = await server.update(camera.name, "2.4.0")
    assert (state, "already" in detail) == ("done", True)
    assert (camera.flash / "slots.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("version", "edit"),
    [
        ("3.0.0", {"aa/app.py": ("import asyncio\n", "import asyncio\nimport nothing_of_that_name\n")}),
        ("3.0.1", {"aa/app.py": (MAKE_APP, "        raise ValueError\n")}),
    ],
    ids=["import", "start"],
)
async def test_firmware_that_does_not_start_is_gone_at_once(server, camera, make_bundle, version, edit):
    """The old one says what became of it."""
    make_bundle(version, edit)
    await camera.press()
    assert await server.update(camera.name, version) == ("failed", "rolled_back")
    assert camera.slots == {"active": "a", "trial": None}
    assert sum("it does not start" in line for line in camera.lines) == 1
    assert server.firmware(camera.name) == OURS
    await camera.is_well()


async def test_firmware_that_never_reaches_the_broker_has_two_boots(server, camera, make_bundle):
    """It runs, takes photos even, and goes; what it took arrives."""
    camera.hasten(1500)
    make_bundle("3.1.0", {"aa/mqtt.py": (MQTT_PORT, NOBODY)})
    command = await server.ask(camera.name, bundle="3.1.0")
    await camera.says("version=3.1.0")
    await camera.press()
    ended = await server.ended(command)
    assert (ended.state, ended.error) == ("failed", "rolled_back")
    assert "3.1.0" in ended.detail
    assert sum("version=3.1.0" in line and "camera board" in line for line in camera.lines) == 2
    assert camera.slots == {"active": "a", "trial": None}
    await camera.is_well()


async def test_firmware_that_hangs_is_reset_and_goes(server, camera, make_bundle):
    """The launcher's watchdog bites, twice, for the firmware never came to set its own."""
    camera.hasten(1000)
    make_bundle("3.2.0", {"aa/app.py": (MAKE_APP, "        while True:\n            pass\n")})
    assert await server.update(camera.name, "3.2.0") == ("failed", "rolled_back")
    assert sum("its watchdog resets it" in line for line in camera.lines) == 2
    await camera.is_well()


async def test_a_file_that_was_changed_is_not_booted(server, camera, make_bundle):
    """One bit of one file, and the slot is not used; the next update, of a sound bundle, is."""
    bundle = make_bundle("3.3.0")
    file = bundle.folder / "aa/wifi.py"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert await server.update(camera.name, "3.3.0") == ("failed", "bad_bundle")
    assert not (camera.flash / "b/bundle.json").exists()
    assert camera.slots == {"active": "a", "trial": None}
    data[100] ^= 1
    file.write_bytes(data)
    assert await server.update(camera.name, "3.3.0") == ("done", "3.3.0")
    await camera.is_well()


async def test_a_signature_by_another_key_is_refused(server, make_camera, make_bundle):
    """A camera that was flashed for another server, say. Nothing of the bundle is fetched."""
    camera = await make_camera(update_key="5a" * 32)
    make_bundle("3.4.0")
    assert await server.update(camera.name, "3.4.0") == ("failed", "bad_signature")
    assert not (camera.flash / "b").exists()
    await camera.is_well()


async def test_a_camera_without_a_key_says_so(server, make_camera, make_bundle):
    camera = await make_camera(update_key="")
    make_bundle("3.5.0")
    assert await server.update(camera.name, "3.5.0") == ("failed", "no_update_key")


async def test_a_bundle_that_is_gone_is_told(server, camera, make_bundle):
    """Removed between the command and the camera's waking, for example."""
    bundle = make_bundle("3.6.0")
    await camera.kill()
    command = await server.ask(camera.name, bundle="3.6.0")
    shutil.rmtree(bundle.folder)
    await camera.power_on()
    assert (await server.ended(command)).error == "unknown_bundle"


async def test_a_low_battery_is_no_time_for_it(server, camera, make_bundle):
    make_bundle("3.7.0")
    for millivolts, outcome in ((3720, ("failed", "battery_low")), (3900, ("done", "3.7.0"))):
        await camera.kill()
        await camera.say(f"battery {millivolts}")
        await camera.power_on()
        assert await server.update(camera.name, "3.7.0") == outcome


async def test_a_press_comes_before_the_rest_of_an_update(server, camera, make_bundle, eventually):
    """Photos that are taken while it is fetched are stored before it is tried."""
    make_bundle("3.8.0")
    command = await server.ask(camera.name, bundle="3.8.0")
    await eventually((camera.flash / "b/aa").exists, "it is being fetched")
    for _ in range(3):
        await camera.press()
    assert (await server.ended(command)).detail == "3.8.0"
    tried = next(number for number, line in enumerate(camera.lines) if "update is tried" in line)
    taken = [number for number, line in enumerate(camera.lines) if "photo taken" in line]
    delivered = [number for number, line in enumerate(camera.lines[:tried]) if "photo delivered" in line]
    assert len(delivered) == sum(number < tried for number in taken)
    await camera.is_well()


@pytest.mark.parametrize("files", [0, 1, 7, 20, 40])
async def test_a_power_cut_while_it_is_fetched(server, camera, make_bundle, eventually, files):
    """Wherever: it goes on by itself, and what was whole is not fetched again."""
    version = f"4.0.{files}"
    bundle = make_bundle(version)
    await camera.press()
    command = await server.ask(camera.name, bundle=version)
    await eventually(
        lambda: (
            len([path for path in (camera.flash / "b").rglob("*") if path.is_file()]) >= files
            if files
            else (camera.flash / "update.json").exists()
        ),
        "some of it is there",
    )
    await camera.kill()
    assert camera.slots["active"] == "a"
    assert len(bundle.manifest.files) > 40
    await camera.power_on()
    assert (await server.ended(command)).detail == version
    await camera.is_well()


@pytest.mark.parametrize("line", ["update is tried", "version=4.1.", "new firmware stays"])
async def test_a_power_cut_while_it_is_tried(server, camera, make_bundle, line):
    """The trial has a second boot, and the reply comes all the same."""
    version = f"4.1.{len(line)}"
    make_bundle(version)
    command = await server.ask(camera.name, bundle=version)
    await camera.says(line)
    await camera.kill()
    await camera.power_on()
    assert (await server.ended(command)).detail == version
    assert camera.slots == {"active": "b", "trial": None}
    await camera.is_well()


async def test_two_power_cuts_on_trial_are_two_boots(server, camera, make_bundle):
    """Nobody can tell them from a crash: the old firmware runs, and the next try succeeds."""
    camera.hasten(60_000)
    make_bundle("4.2.0", {"aa/mqtt.py": (MQTT_PORT, NOBODY)})
    command = await server.ask(camera.name, bundle="4.2.0")
    for count in (1, 2):
        await camera.says("board=sim", 1 + count)
        await camera.kill()
        await camera.power_on()
    assert (await server.ended(command)).error == "rolled_back"
    await camera.is_well()


async def test_wifi_that_goes_in_the_middle(server, camera, make_bundle, eventually):
    """It goes on when there is a network again."""
    make_bundle("4.3.0")
    command = await server.ask(camera.name, bundle="4.3.0")
    await eventually((camera.flash / "b/aa").exists, "it is being fetched")
    await camera.say("wifi down")
    await camera.says("wifi down")
    await asyncio.sleep(0.2)
    await camera.say("wifi up")
    assert (await server.ended(command)).detail == "4.3.0"
    await camera.is_well()


async def test_a_camera_that_sleeps_is_updated_at_its_next_wake(server, camera, make_bundle, eventually):
    """The command waits in the mailbox; the handshake of its next wake brings it."""
    make_bundle("4.4.0")
    await server.ended(await server.ask(camera.name, Do.SLEEP, next_wake_ms=1500))
    await camera.says("[asleep]")
    command = await server.ask(camera.name, bundle="4.4.0")
    assert (await server.ended(command)).detail == "4.4.0"
    await camera.is_well()


async def test_the_newest_is_taken_when_none_is_named(server, camera, make_bundle):
    make_bundle("4.5.0")
    newest = make_bundle("4.5.1")
    command = await server.ask(camera.name)
    assert command.args == {"bundle": newest.name}
    assert (await server.ended(command)).detail == "4.5.1"


async def test_another_update_waits_for_its_turn(server, camera, make_bundle):
    """One at a time: the second is told so."""
    make_bundle("4.6.0")
    make_bundle("4.6.1")
    first = await server.ask(camera.name, bundle="4.6.0")
    second = await server.ask(camera.name, bundle="4.6.1")
    assert (await server.ended(first)).detail == "4.6.0"
    assert (await server.ended(second)).error == "busy"


async def test_over_tls(tls_server, make_camera, make_bundle):
    """The same over MQTT and FTP with certificates, where nothing is said in the clear."""
    camera = await make_camera(on=tls_server)
    make_bundle("5.0.0", compiled=True, on=tls_server)
    assert await tls_server.update(camera.name, "5.0.0") == ("done", "5.0.0")
    await camera.is_well()


async def test_an_operator_asks_for_it_over_mqtt(server, camera, make_bundle, eventually):
    """`request` takes `update` as JSON, like anything else that can be asked."""
    make_bundle("5.1.0")
    password = json.loads(await server.cli("account", "add", f"op-{camera.name}"[:32], "--role", "operator", "--json"))[
        "password"
    ]
    body = json.dumps({"do": "update", "args": {"bundle": "5.1.0"}})
    until = asyncio.get_running_loop().time() + 20
    while True:
        try:
            async with aiomqtt.Client(
                "127.0.0.1", server.run["mqtt"]["port"], username=f"op-{camera.name}"[:32], password=password
            ) as client:
                await client.publish(f"aperture/{camera.name}/request", body, qos=1)
                break
        except aiomqtt.MqttError:
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.1)
    await eventually(lambda: server.firmware(camera.name) == "5.1.0", "it is updated")


async def test_a_virtual_camera_stays_updated_until_there_is_newer_firmware_to_flash(
    server, camera, make_bundle, monkeypatch, tmp_path
):
    """Its next start lays nothing over it; new sources, as a developer makes them, do."""
    make_bundle("5.2.0")
    assert await server.update(camera.name, "5.2.0") == ("done", "5.2.0")
    again = VirtualCamera(
        name=camera.name, token="t", host="127.0.0.1", mqtt_port=1, ftp_port=1, folder=camera.folder, cache=camera.cache
    )
    await camera.stop()
    async with again:
        assert camera.slots == {"active": "b", "trial": None}
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer/slots.json").write_text('{"active":  "a", "trial": null}')
    files = device_files() | {"/slots.json": tmp_path / "newer/slots.json"}
    monkeypatch.setattr("simulator.camera.device_files", lambda: files)
    async with again:
        assert camera.slots == {"active": "a", "trial": None}
        assert not (camera.flash / "b").exists()


async def test_a_photo_overtakes_an_update_on_a_slow_link(server, make_camera, make_bundle, eventually):
    """It waits for the rest of one small file at most, while the update has seconds to go."""
    where = {"mqtt": server.run["mqtt"]["port"], "ftp": server.run["ftp"]["port"]}
    async with Link(ports=where) as link:
        camera = await make_camera(mqtt_port=link.ports["mqtt"], ftp_port=link.ports["ftp"])
        link.quality = Quality(bits_per_s=400_000, delay_ms=5)
        make_bundle("5.3.0")
        command = await server.ask(camera.name, bundle="5.3.0")
        await eventually(lambda: (server.look(command).progress or 0) >= 10, "it is under way")
        await camera.press()
        await camera.says("photo delivered")
        assert server.look(command).progress < 60
        assert (await server.ended(command)).detail == "5.3.0"
        await camera.is_well()
