"""The `aperture` command as a user types it."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

SCRUBBED = {name: value for name, value in os.environ.items() if not name.startswith("APERTURE_")}


def test_camera_add_prints_what_a_camera_needs_and_the_token_only_then(aperture):
    added = json.loads(aperture("camera", "add", "front", "--json"))
    assert set(added) == {"camera", "token", "update_key", "mqtt", "ftp"}
    assert len(bytes.fromhex(added["update_key"])) == 32
    assert added["mqtt"]["port"] == 1883
    assert added["ftp"]["username"] == "front"
    for secret in (added["token"], added["update_key"]):
        assert secret not in aperture("camera", "show", "front", "--json")
        assert secret not in aperture("camera", "list", "--json")


def test_a_camera_that_only_speaks_ftp_gets_no_mqtt(aperture):
    assert not {"mqtt", "update_key"} & set(json.loads(aperture("camera", "add", "porch", "--ftp-only", "--json")))


def test_the_same_camera_twice_is_refused_in_words(aperture):
    aperture("camera", "add", "front")
    assert "already" in aperture("camera", "add", "front", status=1)


@pytest.mark.parametrize("name", ["server", "Front", "a/b", "x" * 33, "é"])
def test_a_name_that_can_be_no_topic_is_refused(aperture, name):
    assert "name" in aperture("camera", "add", name, status=1)


def test_camera_show_tells_how_many_photos_are_left(aperture, tmp_path):
    """By the camera's own estimate; unknown where it has none."""
    aperture("camera", "add", "front")
    assert json.loads(aperture("camera", "show", "front", "--json"))["photos_left"] is None
    [database] = tmp_path.rglob("*.db")
    with sqlite3.connect(database) as connection:
        status = json.dumps({"battery_pct": 50, "battery_mah": 1000, "shot_uah": 400})
        connection.execute("UPDATE camera SET status = ? WHERE name = 'front'", (status,))
    connection.close()
    assert json.loads(aperture("camera", "show", "front", "--json"))["photos_left"] == 1250
    assert "1250" in next(
        line for line in aperture("camera", "show", "front").splitlines() if line.startswith("photos_left")
    )


def test_a_setting_that_cannot_be_is_refused_before_it_is_asked(aperture):
    aperture("camera", "add", "front")
    assert "one of QVGA" in aperture("camera", "ask", "front", "configure", "frame_size=HUGE", status=1)


def test_a_camera_that_falls_asleep_meanwhile_is_not_waited_for(aperture, tmp_path):
    """It has the command when it wakes, as one that slept before it was asked."""
    aperture("camera", "add", "front")
    [path] = tmp_path.rglob("*.db")
    with closing(sqlite3.connect(path, check_same_thread=False, timeout=30)) as database:
        database.execute("UPDATE camera SET presence = 'online'")
        database.commit()

        def fall_asleep() -> None:
            while not database.execute("SELECT 1 FROM command").fetchone():
                time.sleep(0.01)
            database.execute("UPDATE camera SET presence = 'asleep'")
            database.commit()

        camera = threading.Thread(target=fall_asleep)
        camera.start()
        assert "it waits in the mailbox" in aperture("camera", "ask", "front", "shutter")
        camera.join(10)


def test_rotate_voids_the_old_token_and_revoke_all(aperture):
    first = json.loads(aperture("camera", "add", "front", "--json"))
    second = json.loads(aperture("camera", "rotate", "front", "--json"))
    assert not {first["token"], first["update_key"]} & {second["token"], second["update_key"]}
    aperture("camera", "revoke", "front")
    assert json.loads(aperture("camera", "list", "--json")) == []
    assert "no camera" in aperture("camera", "show", "front", status=1)


def test_a_revoked_camera_can_come_back_with_a_new_token(aperture):
    first = json.loads(aperture("camera", "add", "front", "--json"))["token"]
    aperture("camera", "revoke", "front")
    assert json.loads(aperture("camera", "add", "front", "--json"))["token"] != first


def test_tokens_and_accounts(aperture):
    token = json.loads(aperture("token", "create", "phone", "--role", "operator", "--json"))
    assert len(token["token"]) == 26
    assert json.loads(aperture("token", "list", "--json"))[0]["name"] == "phone"
    aperture("token", "revoke", "phone")
    assert json.loads(aperture("token", "list", "--json")) == []
    account = json.loads(aperture("account", "add", "hass", "--role", "operator", "--json"))
    assert account["role"] == "operator"
    aperture("account", "revoke", "hass")
    assert "no account" in aperture("account", "revoke", "hass", status=1)


def test_an_account_command_never_touches_a_camera(aperture):
    aperture("camera", "add", "front")
    assert "no account" in aperture("account", "revoke", "front", status=1)
    assert len(json.loads(aperture("camera", "list", "--json"))) == 1


def test_a_wrong_command_is_usage(aperture):
    aperture("camera", "ad", "front", status=2)


def test_a_typo_in_a_setting_is_told_with_the_right_name(aperture):
    assert "APERTURE_FTP__PORT" in aperture("config", "show", status=2, APERTURE_FTP_PORT="21")


def test_a_wrong_setting_is_named(aperture):
    assert "ftp.passive_ports" in aperture("config", "show", status=2, APERTURE_FTP__PASSIVE_PORTS="low-high")


def test_a_broken_settings_file_is_told(aperture, tmp_path):
    (tmp_path / "aperture.toml").write_text("[ftp\n")
    assert "settings" in aperture("config", "show", status=2)


def test_the_environment_wins_over_the_file(aperture, tmp_path):
    (tmp_path / "aperture.toml").write_text("[ftp]\nport = 1\nidle_s = 7\n")
    shown = {
        row["setting"]: row["value"] for row in json.loads(aperture("config", "show", "--json", APERTURE_FTP__PORT="2"))
    }
    assert (shown["ftp.port"], shown["ftp.idle_s"]) == ("2", "7")


def test_config_show_hides_secrets(aperture):
    shown = aperture("config", "show", APERTURE_DISCORD__WEBHOOK_URL="https://discord.com/api/webhooks/1/hush")
    assert "hush" not in shown


def test_doctor_says_what_to_do_first(aperture):
    findings = {finding["check"]: finding for finding in json.loads(aperture("doctor", "--json"))}
    assert findings["services"]["todo"] == "aperture up"
    assert findings["cameras"]["todo"] == "aperture camera add NAME"
    assert findings["database"]["verdict"] == "ok"


def test_doctor_fails_when_the_data_folder_is_no_folder(aperture, tmp_path):
    (tmp_path / "data").write_text("not a folder")
    aperture("doctor", status=1)


def test_a_command_on_an_unusable_folder_is_an_error_in_words(aperture, tmp_path):
    (tmp_path / "data").write_text("not a folder")
    assert "Traceback" not in aperture("camera", "list", status=1)


def test_doctor_says_in_words_what_does_not_answer(aperture, tmp_path):
    """A run.json of a living process whose listeners are gone: three findings, no traceback."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = nobody.getsockname()[1]
        where = {"host": "127.0.0.1", "port": port}
        (tmp_path / "data").mkdir()
        run = {"pid": os.getpid(), "mqtt": where, "ftp": where, "api": {"url": f"http://127.0.0.1:{port}"}}
        (tmp_path / "data/run.json").write_text(json.dumps(run))
        said = aperture("doctor", status=1, both=True)
    assert "Traceback" not in said
    assert said.count("✗") == 3


def test_doctor_forgets_a_parked_webhook_that_was_replaced(aperture, tmp_path):
    aperture("camera", "list")
    with sqlite3.connect(tmp_path / "data/aperture.db") as database:
        database.execute(
            "INSERT INTO destination (target, parked_at_ms, parked_reason) VALUES ('discord:1', 1, 'gone')"
        )
    database.close()

    def verdict(webhook: str, status: int) -> str:
        said = aperture("doctor", "--json", status=status, both=True, APERTURE_DISCORD__WEBHOOK_URL=webhook)
        return {one["check"]: one["verdict"] for one in json.loads(said)}["Discord"]

    assert verdict("https://discord.com/api/webhooks/1/token", 1) == "wrong"
    assert verdict("https://discord.com/api/webhooks/2/token", 0) == "ok"


def test_doctor_tells_of_photos_that_have_not_come_all_the_way(aperture, tmp_path):
    """Bytes that a camera owes, photos that wait for Discord with the reason, and those that it refused.

    What was deleted was refused by nobody.
    """
    aperture("camera", "list")
    photos = [
        ("front", "stored"),
        ("front", "missing"),
        ("front", "missing"),
        ("porch", "announced"),
        ("yard", "stored"),
    ]
    deliveries = [
        ("1", "waiting", "busy"),
        ("1", "sending", None),
        ("1", "set_aside", "too odd"),
        ("12", "posted", ""),
        ("1", "set_aside", "the photo was deleted"),
    ]
    with closing(sqlite3.connect(tmp_path / "data/aperture.db")) as database, database:
        for number, (camera, state) in enumerate(photos):
            database.execute(
                "INSERT INTO photo (id, camera, state, origin, sort_at_ms, resends, created_at_ms)"
                " VALUES (?, ?, ?, 'camera', 0, 0, 0)",
                (f"{number:026}", camera, state),
            )
        for number, (webhook, state, error) in enumerate(deliveries):
            database.execute(
                "INSERT INTO delivery (photo, target, state, error, sort_at_ms, attempts, uncertain, not_before_ms,"
                " edit_wanted, created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)",
                (f"{number:026}", f"discord:{webhook}", state, error),
            )
        database.execute("UPDATE photo SET deleted_at_ms = 1 WHERE camera = 'yard'")
        rest = json.dumps([{"kind": "cloudflare", "key": "", "until_ms": 4_102_444_800_000}])
        database.execute("INSERT INTO destination (target, pauses) VALUES ('discord:1', ?)", (rest,))
    said = aperture("doctor", "--json")
    detail = {one["check"]: one["detail"] for one in json.loads(said)}
    owed = "front: 2 announced long ago and not here, porch: 1 on the way"
    assert detail["photos"] == f"1 in the archive; {owed}"
    assert detail["to be posted"].startswith("2 photos (busy: 1); Discord asked for a rest until 2")
    assert detail["refused by Discord"] == "1 photo (too odd: 1)"


def test_simulate_leaves_a_foreign_camera_s_token_alone(aperture):
    aperture("camera", "add", "porch", "--ftp-only")
    assert "only uploads by FTP" in aperture("simulate", "porch", status=1)


def test_a_part_by_itself_has_to_know_the_broker_s_port(aperture):
    assert "mqtt.port is 0" in aperture("bridge", status=1, APERTURE_MQTT__PORT="0")


def test_a_fleet_needs_a_server_to_try(aperture):
    assert "nothing runs" in aperture("simulate", "--fleet", "2", status=1)


def test_simulate_is_told_which(aperture):
    assert "NAME" in aperture("simulate", status=2) or "name" in aperture("simulate", status=2)
    aperture("simulate", "front", "--fleet", "2", status=2)
    aperture("simulate", "--fleet", "0", status=2)
    aperture("simulate", "--fleet", "2", "--faults", "gremlins", status=2)


def test_a_camera_is_shown_with_its_presence_and_since_when(aperture):
    aperture("camera", "add", "front")
    lines = aperture("camera", "show", "front").splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("presence ")] == [["offline"]]
    assert any(line.startswith("presence_at ") for line in lines)


def test_who_stops_reading_is_told_nothing(tmp_path):
    """`aperture … | head` ends as head does, without a traceback."""
    command = f"{sys.executable} -m cli.main config show | head -1; {sys.executable} -m cli.main --help | true"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=SCRUBBED, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Error" not in done.stderr, done.stderr


def test_who_forgets_the_demo_s_folder_is_told_the_command(aperture, tmp_path):
    """Nothing is guessed: the command does what it says, on the usual folder, and then names the other one."""
    (tmp_path / "data-demo").mkdir()
    run = {"pid": os.getpid(), "mqtt": {"bound": "127.0.0.1", "port": 12345}, "ftp": {"bound": "127.0.0.1", "port": 9}}
    (tmp_path / "data-demo/run.json").write_text(json.dumps(run))
    meant = "aperture --data-dir data-demo camera ask demo shutter"
    assert meant in aperture("camera", "ask", "demo", "shutter", status=1)
    assert "data-demo camera list" in aperture("camera", "list", both=True)
    assert "data-demo" not in aperture("--data-dir", "data", "camera", "list", both=True)
    assert "data-demo" not in aperture("camera", "list", both=True, APERTURE_DATA_DIR="data")
    added = json.loads(aperture("--data-dir", "data-demo", "camera", "add", "front", "--json"))
    assert added["mqtt"]["host"] == added["ftp"]["host"] == "127.0.0.1", "as what runs there listens"


def test_what_can_be_configured_is_listed_with_its_ranges(aperture):
    said = aperture("camera", "ask", "front", "configure", "--help")
    assert "quality           a whole number from 5 to 100" in said
    assert "one of auto sunny cloudy office home" in said


def test_camera_show_is_for_people(aperture, tmp_path):
    aperture("camera", "add", "front")
    [database] = tmp_path.rglob("*.db")
    with sqlite3.connect(database) as connection:
        status = json.dumps({"display": ["front", "Ready"], "settings": {"vflip": True, "effect": "none"}})
        connection.execute("UPDATE camera SET status = ? WHERE name = 'front'", (status,))
    connection.close()
    said = aperture("camera", "show", "front")
    assert not {"{", "[", "'"} & set(said)
    assert "vflip=true" in said


def test_a_void_token_is_told_before_a_virtual_camera_starts(aperture):
    aperture("camera", "add", "front")
    assert "camera rotate front" in aperture("simulate", "front", "--token", "a" * 26, status=1)
