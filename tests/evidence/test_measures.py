from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.evidence.measures import (
    DISTANCES,
    LONGEST,
    Distance,
    chrf,
    edit_distance,
    exact_match,
    length_ratio,
    ready,
    token_jaccard,
    tokens,
)

EVERY = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES.keys())
TEXTS = st.text(max_size=40)


def levenshtein(first: str, second: str) -> int:
    """The textbook's way, row by row."""
    row = list(range(len(second) + 1))
    for one, left in enumerate(first, 1):
        above, row[0] = row[0], one
        for place, right in enumerate(second, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (left != right))
    return row[-1]


@EVERY
@given(first=TEXTS, second=TEXTS)
def test_every_distance_is_symmetric_and_within_bounds(distance: Distance, first: str, second: str) -> None:
    """From 0 to 1, the same both ways, and 0 for a text and itself, lone surrogates and all."""
    one, other = ready(first), ready(second)
    assert 0 <= distance(one, other) <= 1
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert distance(one, ready(first)) == 0


@given(first=TEXTS, second=TEXTS)
def test_edit_distance_agrees_with_the_textbook(first: str, second: str) -> None:
    """Levenshtein's distance by dynamic programming, over the longer length."""
    one, other = ready(first), ready(second)
    longest = max(len(one.folded), len(other.folded), 1)
    assert edit_distance(one, other) == pytest.approx(levenshtein(one.folded, other.folded) / longest)


@pytest.mark.parametrize(
    ("distance", "first", "second", "expected"),
    [
        (edit_distance, "kitten", "sitting", 3 / 7),
        (token_jaccard, "the cat sat", "the cat ran", 1 - 2 / 4),
        (token_jaccard, "北京是首都", "首都北京", 1 - 2 / 5),  # 北京 京是 是首 首都 | 首都 都北 北京
        (chrf, "ab", "ac", 0.75),  # one of two letters, none of one pair: (1/2 + 0) / 2
        (length_ratio, "abcd", "a", 0.75),
        (exact_match, "Straße  \n", "STRASSE", 0.0),
        (exact_match, "cafe\u0301", "CAFÉ", 0.0),
        (exact_match, "yes", "no", 1.0),
    ],
)
def test_worked_examples(distance: Distance, first: str, second: str, expected: float) -> None:
    """Each distance on an example that can be checked by hand."""
    assert distance(ready(first), ready(second)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't stop-me now!", {"don", "t", "stop", "me", "now"}),
        ("東京タワー", {"東京", "京タ", "タワ", "ワー"}),
        ("水", {"水"}),
        ("gpt4 是好的", {"gpt4", "是好", "好的"}),
        ("हिन्दी", {"हिन्दी"}),
        ("…?!", set()),
    ],
)
def test_tokens(text: str, expected: set[str]) -> None:
    """Words with their marks, and pairs of characters where no blanks are written."""
    assert tokens(text) == expected


def test_only_the_beginning_counts() -> None:
    """An answer of a megabyte is compared by its first characters, in no time."""
    assert len(ready("a b " * 250_000).folded) <= LONGEST
    assert all(d(ready("x" * LONGEST), ready("x" * LONGEST + "y")) == 0 for d in DISTANCES.values())
