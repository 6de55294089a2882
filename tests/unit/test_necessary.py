from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from docs import readings
from hypothesis import example, given
from hypothesis import strategies as st

from beacon_cli import wiring
from beacon_cli.evidence import expressions, sentences
from beacon_cli.evidence.accuracy import Labelled
from beacon_cli.evidence.languages import LANGUAGES
from beacon_cli.evidence.necessary import END, branches, needed
from beacon_cli.evidence.patterns import ANY
from beacon_cli.settings import Settings


def begins(line: str, beginnings: frozenset[str], *, spaced: bool) -> bool:
    """Whether a word of the line, or a pair of its characters, begins with one of these."""
    words = re.findall(r"\w+", line) if spaced else ["".join(pair) for pair in pairwise(line + END)]
    return any(f"{word}{END}".startswith(each) for word in words for each in beginnings)


@pytest.mark.parametrize(
    ("expression", "sets"),
    [
        ("i (?:can't|cannot) (?:help|answer)", [{"i "}, {"can ", "canno"}, {"help", "answe"}]),
        ("(?:a|b)c? d", [{"ac ", "bc ", "a ", "b "}, {"a", "b"}, {"d"}]),
        ("red(?:dish)? car", [{"red ", "reddi"}, {"car"}]),
        (r"\w{1,9} apples", [{"apple"}]),
        ("no(?:pe){0,3}", [{"no", "nope"}]),
        ("(?:you )?can", [{"can", "you "}]),
        (r"the …\bend", [{"the "}, {"end"}]),
        (r"\w{1,9}", []),
        ("(?i:no)", []),
        (r"\x41pple", []),
    ],
)
def test_what_an_expression_needs(expression: str, sets: list[set[str]]) -> None:
    """Worked by hand: beginnings of words that any match has, the most telling first."""
    found = needed(expression, spaced=True)
    assert sorted(map(sorted, found)) == sorted(map(sorted, sets))


def test_alternatives_are_told_apart() -> None:
    """A group around all is opened, a group among others is not."""
    assert branches("(?:a|(?:b|c))|d") == ["a", "b", "c", "d"]
    assert branches("(?:a|b) c") == ["(?:a|b) c"]
    assert branches("(?:a|b)(?:c|d)") == ["(?:a|b)(?:c|d)"]
    assert branches(r"\(?:a\)|[|]|b") == [r"\(?:a\)", "[|]", "b"]


ATOMS = st.sampled_from(["a", "b", " ", "'", "[ab]", r"\w", r"\b", "a?", "b{0,2}", "(?!a)"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.lists(inner, min_size=1, max_size=3).map("|".join).map("(?:{})".format)
        | inner.map("(?:{})?".format)
    ),
    max_leaves=8,
)


@given(expression=EXPRESSIONS, line=st.text("ab '", max_size=12), spaced=st.booleans())
@example(expression="a{}b", line="a{}b", spaced=True)
@example(expression="(?:a|b ?)(?:b)?a", line="b ba", spaced=True)
def test_what_matches_has_what_is_needed(*, expression: str, line: str, spaced: bool) -> None:
    """No match is lost: wherever an expression matches, so does one of its alternatives, and its needs are met."""
    try:
        expressions.check(expression)
    except ValueError:
        return
    edge = r"\b(?=\w)" if spaced else ""
    found = [part for part in branches(expression) if re.search(f"{edge}(?:{part})", line)]
    assert bool(found) == bool(re.search(f"{edge}(?:{expression})", line))
    for part in found:
        assert all(begins(line, beginnings, spaced=spaced) for beginnings in needed(part, spaced=spaced))


def lines() -> Iterator[str]:
    """Every sentence of the development half."""
    for row in readings.SAMPLE[0].read_bytes().splitlines():
        yield from sentences.sentences(msgspec.json.decode(row, type=Labelled).answer)


def test_the_shipped_patterns_lose_nothing() -> None:
    """On every third sentence of the development half: a shipped pattern that matches has what it needs there."""
    every = list(lines())[::3]
    matched = 0
    for pattern in wiring.reader(Settings(home=Path()))._patterns:
        spaced = pattern.language not in {"zh", ANY}
        edge = r"\b(?=\w)" if spaced else ""
        for part in branches(pattern.expression):
            needs, search = needed(part, spaced=spaced), re.compile(f"{edge}(?:{part})")
            for line in filter(search.search, every):
                matched += 1
                assert all(begins(line, each, spaced=spaced) for each in needs), (pattern.name, part, line)
    assert matched > 10 * len(LANGUAGES)
