"""The `aperture` command as a user types it, called rather than started: Python's start takes longer than most of it."""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import structlog

from cli.main import main

Aperture = Callable[..., str]


@pytest.fixture
def aperture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aperture:
    """Run one command in a folder of its own, with no settings but those given.

    Returns what it printed: standard output after a success, standard error after a failure, or `both`.
    """
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("APERTURE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, status: int = 0, both: bool = False, **environment: str) -> str:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main(arguments)
        structlog.reset_defaults()
        said = out.getvalue() + err.getvalue()
        assert (end.value.code or 0) == status, said
        if both:
            return said
        return out.getvalue() if status == 0 else err.getvalue()

    return run
