"""What a reader relies on: settings and commands are documented, files stay small, nothing of ours says `assert`."""

import argparse
import ast
import re
import subprocess
from pathlib import Path

import pytest

from aperture.settings import Settings, variables
from cli.main import build_parser

ROOT = Path(__file__).parents[2]
PACKAGES = ("aperture", "broker", "bridge", "api", "cli", "simulator", "firmware", "bench")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60


def test_every_setting_is_documented():
    documented = (ROOT / "docs/settings.md").read_text()
    missing = [name for name in variables(Settings) if f"`{name}`" not in documented]
    assert missing == []


def test_no_setting_is_documented_that_there_is_not():
    documented = set(re.findall(r"`(APERTURE_\w+)`", (ROOT / "docs/settings.md").read_text()))
    assert documented <= set(variables(Settings))


def test_every_command_in_the_documents_can_be_parsed():
    """A command that the README tells is one that the parser takes."""
    parser = build_parser()
    found = 0
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for line in re.findall(r"^(?:\.venv/bin/)?aperture ([a-z][^#`\n]*)", document.read_text(), re.MULTILINE):
            try:
                parser.parse_args(line.split())
            except SystemExit as error:
                if error.code != 0:  # --help leaves with 0
                    pytest.fail(f"{document.name}: aperture {line}")
            found += 1
    assert found >= 2


def test_every_command_says_what_it_does():
    def walk(parser: argparse.ArgumentParser):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for child in action.choices.values():
                    assert child.description, child.prog
                    walk(child)

    walk(build_parser())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_small_and_has_no_assert(path: Path):
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: raise an error that says what to do"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno
            assert length <= MOST_LINES_OF_A_FUNCTION or "migrations" in path.parts, node.name


def test_links_in_documents_lead_somewhere():
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    for document in tracked.stdout.split():
        for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / document).read_text()):
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"
