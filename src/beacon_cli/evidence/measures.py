"""How far two answers are from each other, by five measures.

All are distances: symmetric, from 0 (alike) to 1, and 0 between a text and itself. None of them knows what a text
means; so a report always shows at least two. Texts are compared after NFC, with blanks made one and case folded,
and by their first `LONGEST` characters, for an answer may have a megabyte. Must not know whose answers they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from beacon_cli.model import Measure

LONGEST = 4_000
"""Characters of a text that are compared, after folding."""

_CJK = (
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x2E80, 0x2FDF),  # radicals
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),  # ideographs, extension A
    (0x4E00, 0x9FFF),  # ideographs
    (0xAC00, 0xD7AF),  # Hangul syllables
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0x20000, 0x3FFFF),  # ideographs, further extensions
)


class _Separated(dict[int, str]):
    """A table for `str.translate` that makes a blank of whatever is no part of a word."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = char if unicodedata.category(char)[0] in "LMN" else " "
        return self[code]


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text made ready for comparing: folded, and its set of tokens."""

    folded: str
    tokens: frozenset[str]


Distance: TypeAlias = Callable[[Text, Text], float]


def ready(text: str) -> Text:
    """The text, folded and cut; half a character (a lone surrogate) becomes a replacement character."""
    whole = text[: 4 * LONGEST].encode("utf-8", "replace").decode("utf-8")
    folded = " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", whole).casefold()).split())
    folded = folded[:LONGEST].rstrip()
    return Text(folded=folded, tokens=tokens(folded))


def tokens(folded: str) -> frozenset[str]:
    """The words of a folded text; of scripts that put no blanks between words, pairs of neighbouring characters.

    A single such character stands alone. Signs that are neither letters, marks nor digits separate words.
    """
    found: set[str] = set()
    for word in folded.translate(_Separated()).split():
        if word.isascii() or not any(map(_is_cjk, word)):
            found.add(word)
            continue
        for is_cjk, part in groupby(word, _is_cjk):
            run = "".join(part)
            found.update(map("".join, pairwise(run)) if is_cjk and len(run) > 1 else [run])
    return frozenset(found)


def exact_match(first: Text, second: Text) -> float:
    """0 if the texts are the same after folding, else 1."""
    return float(first.folded != second.folded)


def edit_distance(first: Text, second: Text) -> float:
    """Levenshtein's distance by the length of the longer text."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_distance(first.folded, second.folded))


def token_jaccard(first: Text, second: Text) -> float:
    """The share of the tokens of either text that are not in both."""
    union = len(first.tokens | second.tokens)
    if not union:
        return exact_match(first, second)
    return 1 - len(first.tokens & second.tokens) / union


def chrf(first: Text, second: Text) -> float:
    """1 - chrF with beta 1, which makes it symmetric: n-grams of 1 to 6 characters without blanks.

    Needs no words, so it holds for Chinese and Japanese too (Popovic 2015, doi:10.18653/v1/W15-3049; sacreBLEU,
    arXiv:1804.08771).
    """
    from sacrebleu.metrics.chrf import CHRF

    if first.folded == second.folded:
        return 0.0
    score = float(CHRF(beta=1).sentence_score(first.folded, [second.folded]).score)
    return min(1.0, max(0.0, 1 - score / 100))


def length_ratio(first: Text, second: Text) -> float:
    """1 - the length of the shorter text by that of the longer."""
    short, long = sorted((len(first.folded), len(second.folded)))
    return 1 - short / long if long else 0.0


DISTANCES: Mapping[Measure, Distance] = MappingProxyType(
    {
        Measure.EXACT_MATCH: exact_match,
        Measure.EDIT_DISTANCE: edit_distance,
        Measure.TOKEN_JACCARD: token_jaccard,
        Measure.CHRF: chrf,
        Measure.LENGTH_RATIO: length_ratio,
    }
)
"""Every distance by its name, in the order of reports."""


def _is_cjk(char: str) -> bool:
    code = ord(char)
    return code >= _CJK[0][0] and any(low <= code <= high for low, high in _CJK)
