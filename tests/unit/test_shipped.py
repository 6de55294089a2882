"""What the shipped patterns come to is kept in a file, which is that of the patterns as they are."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from beacon_cli.evidence import patterns, shipped
from beacon_cli.evidence.finding import parts
from beacon_cli.evidence.patterns import ANY, UNSPACED, Pattern

FOLDER = resources.files("beacon_cli.evidence")
SOURCE = FOLDER.joinpath("patterns.toml").read_bytes()
KEPT = FOLDER.joinpath("patterns.json").read_bytes()
ROOT = Path(__file__).parents[2]


def test_the_file_is_what_the_patterns_come_to() -> None:
    """Made anew it is the same, byte for byte: `python docs/patterns.py` makes it."""
    found, faults = patterns.parse(tomllib.loads(SOURCE.decode()), "patterns.toml")
    assert faults == []
    assert shipped.written(SOURCE, found) == KEPT
    command = "import sys; sys.path.insert(0, 'docs'); import patterns; sys.stdout.buffer.write(patterns.made())"
    made = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, check=True)
    assert made.stdout == KEPT


def test_what_is_read_is_what_would_be_parsed() -> None:
    """The patterns in the file are those of `patterns.toml`, in their order, and each has its parts."""
    found, _ = patterns.parse(tomllib.loads(SOURCE.decode()), "patterns.toml")
    kept = shipped.read(KEPT, SOURCE)
    assert kept is not None
    assert tuple(msgspec.structs.replace(each, parts=()) for each in kept) == found
    assert all(each.parts for each in kept)


def test_a_file_of_other_patterns_is_not_used() -> None:
    """Whoever changes a pattern reads by it at once."""
    assert shipped.read(KEPT, SOURCE + b"\n") is None


@pytest.mark.parametrize("spaced", [True, False])
def test_parts_are_used_where_they_are_for_such_texts(spaced: bool) -> None:  # noqa: FBT001 - a parameter
    """A pattern of all languages is taken apart anew among those of a language without spaces."""
    assert ANY not in UNSPACED
    kept = shipped.read(KEPT, SOURCE) or ()
    for pattern in kept[:: len(kept) // 20]:
        bare: Pattern = msgspec.structs.replace(pattern, parts=())
        assert parts(pattern, spaced=spaced) == parts(bare, spaced=spaced)
