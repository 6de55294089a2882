from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.model import Region
from beacon_cli.names import RegionNames, nearest, printable, quoted, suggestion


@given(st.text(st.characters(), max_size=300), st.integers(1, 300))
def test_what_is_shown_is_printable(text: str, most: int) -> None:
    """No control, bidi mark, line break or half a character gets through, and nothing grows without end."""
    shown = printable(text, most=most)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert len(shown) <= most * 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 名前 🙂", "plain ünï 名前 🙂"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202eabc\ud800", "\\u202eabc\\ud800"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    """Ordinary text of any script stays; the rest is shown by its code."""
    assert printable(text) == shown


def test_long_text_is_cut() -> None:
    """A long value is shown by its beginning."""
    assert quoted("x" * 100, most=10) == "'xxxxxxxxx…'"


@pytest.mark.parametrize(
    ("word", "near"),
    [("regoins", "regions"), ("MODELS", "models"), ("zzz", None), ("", None), ("r" * 10_000, None)],
)
def test_the_nearest_name_is_found_whatever_the_case(word: str, near: str | None) -> None:
    """A typing error finds its name, nonsense finds none."""
    assert nearest(word, ["regions", "models", "repeats"]) == near


def test_a_suggestion_is_the_nearest_name_or_the_few_there_are() -> None:
    """Who is far off is told what there is, unless it is too much."""
    assert suggestion("lnes", ["lanes", "lockstep"]) == "; did you mean 'lanes'?"
    assert suggestion("x", ["lanes", "lockstep"]) == "; known: lanes, lockstep"
    assert suggestion("x", [f"name{number}" for number in range(100)]) == ""
    assert suggestion("x", []) == ""


def test_regions_are_found_by_any_name() -> None:
    """Ids and aliases, whatever the case; the first region with a name has it."""
    asia = Region(id="asia", app="apac", place="Asia", aliases=("APAC",))
    other = Region(id="other", app="o", place="o", aliases=("apac",))
    names = RegionNames([asia, other])
    assert [names.get(name) for name in ("ASIA", "apac", "Other", "mars")] == [asia, asia, other, None]
    assert names.unknown("apca") == "unknown region 'apca'; did you mean 'asia'?"
    assert names.unknown("\x1b") == "unknown region '\\x1b'; known: asia, other"
