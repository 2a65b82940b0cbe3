"""A fleet of virtual cameras and its verdict: nothing is lost whatever goes wrong, and what is wrong is found."""

import json
import subprocess
import sys

import pytest

from simulator.available import why_not

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(why_not() is not None, reason="no MicroPython for this machine"),
]


def fleet(up, *arguments: str, status: int = 0):
    """Run `aperture simulate --fleet`; return what it printed."""
    done = up.owner_runs("simulate", "--fleet", *arguments, timeout_s=200)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_everything_goes_wrong_and_nothing_is_lost(aperture):
    """Wi-Fi, power, server and connections fail, from a seed; the verdict compares the sensors with the archive."""
    up = aperture("up")
    up.start()
    said = fleet(up, "3", "--photos", "4", "--duration", "6", "--faults", "everything", "--seed", "4", "--json")
    verdict = json.loads(said)
    assert verdict["taken"] >= 8
    assert verdict["stored"] == verdict["taken"]
    assert verdict["presses"] == 12 == verdict["taken"] + sum(verdict["untaken"].values())
    assert not any("nobody knows" in why for why in verdict["untaken"]), "each press is accounted for"
    assert verdict["waiting"] == []
    assert verdict["frames"] >= verdict["taken"]
    assert (verdict["lost"], verdict["doubled"], verdict["broken"]) == ([], [], [])
    assert up.cli("camera", "list") == [] or all(one["revoked"] for one in up.cli("camera", "list"))
    assert not (up.data_dir / "simulated/fleet").exists()


def test_an_archive_that_has_lost_a_photo_is_found_out(aperture, until):
    """The verdict reads the archive itself, and the exit code says that the promise was broken."""
    up = aperture("up")
    up.start()
    command = [sys.executable, "-m", "cli.main", "--data-dir", str(up.data_dir), "simulate", "--fleet", "1"]
    running = subprocess.Popen(
        [*command, "--photos", "2", "--duration", "1", "--keep"], cwd=up.folder, stdout=subprocess.PIPE, text=True
    )
    first = until(lambda: next((up.data_dir / "photos/fleet-001").glob("*.jpg"), None), "a photo")
    first.write_bytes(first.read_bytes()[:1000])
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 1
    assert f"broken: {first.stem}" in said
    assert [one["camera"] for one in up.cli("camera", "list")] == ["fleet-001"], "--keep keeps the account"


def test_a_fleet_does_not_post_to_its_owner_s_discord_unasked(aperture, webhook, tmp_path):
    up = aperture("up", **webhook)
    up.start()
    (tmp_path / "aperture.toml").write_text(f'[discord]\nwebhook_url = "{webhook["APERTURE_DISCORD__WEBHOOK_URL"]}"\n')
    fleet(up, "1", status=1)
