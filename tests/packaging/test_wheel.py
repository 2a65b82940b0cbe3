"""What we ship is the wheel, not the repository: build it and run from it, away from the sources."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"aperture", "api", "bridge", "broker", "cli", "firmware", "simulator"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_it_has_our_packages_and_no_others(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == OURS


@pytest.mark.parametrize(
    "path",
    [
        "broker/mosquitto.conf",
        "aperture/store/migrations/versions/0001_first_tables.py",
        "simulator/discord/page.html",
        "firmware/main.py",
        "firmware/boards/aa3.py",
    ],
)
def test_it_has_what_is_read_as_a_file(wheel: Path, path: str):
    with zipfile.ZipFile(wheel) as archive:
        assert path in archive.namelist()


def test_it_runs_away_from_the_sources(wheel: Path, tmp_path: Path):
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    scrubbed = {name: value for name, value in os.environ.items() if not name.startswith("APERTURE_")}
    script = "import sys, cli.main, broker.mqtt.mosquitto as m; print(cli.main.__file__, m.shipped_conf())"
    where, conf = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**scrubbed, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    assert Path(where).is_relative_to(place)
    assert Path(conf) == place / "broker/mosquitto.conf"
