"""`aperture up` without any configuration, and through what happens to a home server."""

import json
import signal
import stat
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(180)


def test_the_first_start_makes_everything_and_says_what_to_do(aperture):
    """Folder, addresses, a token once, the next command; `run.json` is private and goes at the end."""
    up = aperture()
    up.start()
    assert "camera add NAME" in up.output
    assert "APERTURE_DISCORD__WEBHOOK_URL" in up.output
    assert "shown this once" in up.output
    run = up.data_dir / "run.json"
    assert stat.S_IMODE(run.stat().st_mode) == 0o600
    assert set(up.run) == {"pid", "version", "mqtt", "ftp", "api"}
    assert set(up.run["mqtt"]) == {"host", "port", "bound", "kind"}
    token = up.output.split("shown this once: ")[1].split()[0]
    assert up.stop() == 0
    assert not run.exists()
    up.start()
    assert token not in up.output.split("Ready.", 1)[1], "the token is shown once"


def test_the_token_that_is_printed_opens_the_api(aperture):
    import httpx

    up = aperture()
    up.start()
    token = up.output.split("shown this once: ")[1].split()[0]
    answer = httpx.get(f"{up.run['api']['url']}/api/v1/photos", headers={"Authorization": f"Bearer {token}"})
    assert answer.json() == {"photos": [], "next": None}


def test_a_second_one_on_the_same_folder_is_refused_in_words(aperture):
    up = aperture()
    up.start()
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "--data-dir", str(up.data_dir), "up"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert str(up.process.pid) in done.stderr
    assert up.is_ready()


@pytest.mark.parametrize("part", ["FTP", "API", "MQTT"])
def test_a_taken_port_is_told_and_nothing_is_left_running(aperture, part):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = aperture("up", **{f"APERTURE_{part}__PORT": str(port)})
        with pytest.raises(AssertionError):
            up.start()
        assert up.process.wait(20) == 1
    assert str(port) in up.output
    assert "Traceback" not in up.output


def test_doctor_finds_all_well_while_it_runs(aperture):
    up = aperture()
    up.start()
    findings = {finding["check"]: finding["verdict"] for finding in up.cli("doctor")}
    assert {findings[check] for check in ("MQTT", "FTP", "HTTP", "database", "data folder")} == {"ok"}


def test_a_photo_goes_all_the_way(aperture, webhook, discord, jpeg, upload, until):
    """Bytes on the data folder, in the API and in Discord are those of the upload."""
    up = aperture("up", **webhook)
    up.start()
    camera = up.cli("camera", "add", "front")
    data = jpeg()
    photo = upload(up.ftp(camera), data)
    assert (up.data_dir / "photos/front" / f"{photo}.jpg").read_bytes() == data
    (message,) = until(lambda: discord.messages, "the post")
    assert message.attachments[0].data == data
    with up.http() as http:
        assert http.get(f"/api/v1/photos/{photo}/image").content == data
        record = until(
            lambda: (found := http.get(f"/api/v1/photos/{photo}").json())["stages"].get("posted") and found, "posted"
        )
        assert record["deliveries"][0]["message_id"] == message.id
        public = http.get(f"/p/{photo}.jpg", headers={"Authorization": ""})
        assert public.content == data


def test_power_is_cut_between_226_and_the_post(aperture, webhook, discord, jpeg, upload, until):
    """What 226 was said for is posted after the restart, once each, in the order it was taken."""
    up = aperture("up", **webhook)
    up.start()
    camera = up.cli("camera", "add", "front")
    discord.go_down()
    ftp = up.ftp(camera)
    photos = [upload(ftp, jpeg()) for _ in range(5)]
    up.kill()
    discord.come_back()
    up.start()
    until(lambda: len(discord.messages) == len(photos), "all are posted")
    assert [message.attachments[0].filename for message in discord.messages] == [f"{photo}.jpg" for photo in photos]


def test_the_broker_dies_and_comes_back(aperture, until):
    """kill -9 of mosquitto: the same port again, and the server's retained status is put back."""
    up = aperture()
    up.start()
    (broker,) = up.children()
    broker.send_signal(signal.SIGKILL)
    until(lambda: [child for child in up.children() if child.pid != broker.pid], "another broker")

    def findings() -> bool:
        return {one["check"]: one["verdict"] for one in up.cli("doctor")}.get("MQTT") == "ok"

    until(findings, "the bridge's status is back")


def test_a_camera_is_added_and_revoked_while_it_runs(aperture, jpeg, upload, until):
    up = aperture()
    up.start()
    camera = up.cli("camera", "add", "front")
    ftp = up.ftp(camera)
    upload(ftp, jpeg())
    up.cli("camera", "revoke", "front")

    def is_cut() -> bool:
        try:
            ftp.voidcmd("NOOP")
        except (EOFError, OSError):
            return True
        return "421" in ftp.lastresp

    until(is_cut, "its connection is closed")
    ftp.close()


def test_each_part_in_a_process_of_its_own(aperture, webhook, discord, jpeg, upload, until):
    """Only settings change: broker, bridge and API meet over MQTT and in the store."""
    import socket

    ports = {}
    for part in ("MQTT", "FTP", "API"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports[f"APERTURE_{part}__PORT"] = str(probe.getsockname()[1])
    for command in ("broker", "bridge", "api"):
        aperture(command, **{**ports, **webhook}).start()
    any_part = aperture("broker")
    camera = any_part.cli("camera", "add", "front")
    (any_part.data_dir / "run.json").write_text(
        json.dumps(
            {
                "ftp": {"port": int(ports["APERTURE_FTP__PORT"])},
                "api": {"url": f"http://127.0.0.1:{ports['APERTURE_API__PORT']}"},
            }
        )
    )
    data = jpeg()
    photo = upload(any_part.ftp(camera), data)
    (message,) = until(lambda: discord.messages, "the post")
    assert message.attachments[0].data == data
    with any_part.http() as http:
        assert until(lambda: http.get(f"/api/v1/photos/{photo}/image").content == data, "the API has it")


def test_an_external_broker_that_is_away_stops_nothing_else(aperture, webhook, discord, jpeg, upload, until):
    """After a power cut everything boots at once: FTP, archive and Discord need no MQTT."""
    import socket

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: refused
        up = aperture(
            "up",
            **webhook,
            APERTURE_MQTT__BROKER="external",
            APERTURE_MQTT__PORT=str(nobody.getsockname()[1]),
            APERTURE_MQTT__PASSWORD="x",
        )
        up.start()
        upload(up.ftp(up.cli("camera", "add", "front")), data := jpeg())
        (message,) = until(lambda: discord.messages, "the post")
        assert message.attachments[0].data == data
