"""The tour in docs/simulate.md can be walked: what it has one type is understood, and nothing that there is, is missing."""

import re
from pathlib import Path

import pytest

from simulator.console import WORDS, check
from simulator.faults import PROFILES

TOUR = (Path(__file__).parents[2] / "docs/simulate.md").read_text()
TYPED = re.findall(r"^> (.*)$", TOUR, re.MULTILINE)


@pytest.mark.parametrize("line", sorted(set(TYPED)))
def test_what_is_typed_is_understood(line):
    assert check(line.split()) is None


def test_every_word_is_on_the_tour():
    named = {word.name for word in WORDS} - {"help"}
    assert named <= {line.split()[0] for line in TYPED}
    assert "`help`" in TOUR


def test_every_profile_is_told_as_it_is():
    told = dict(re.findall(r"^\| `([a-z][a-z-]*)` \| (.*) \|$", TOUR, re.MULTILINE))
    assert set(told) == set(PROFILES)
    for name in set(told) - {"none"}:
        assert told[name] == PROFILES[name].what
