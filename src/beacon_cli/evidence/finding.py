"""Finds patterns in sentences: which lines refuse, evade, qualify. Pure; judges no answer."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from beacon_cli.evidence.patterns import UNSPACED, Means, Pattern, Where

_OPENING = 320
"""An opening is the sentences that begin so early, in Latin letters."""
_TELLING = (Means.HARD, Means.STOP, Means.SOFT, Means.DISCLAIMER)
_LAST = 2
"""Sentences at the end that are looked at even if the opening tells nothing."""
_NEVER = "(?!)"
Found = dict[Means, dict[int, str]]
"""For each meaning the lines that have it, with the name of the first pattern found there."""


class Finder:
    """The patterns of one language.

    One search for each meaning and place; before these, two that tell whether to look closer at all.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        every = tuple(patterns)
        alike: dict[tuple[Means, Where], list[Pattern]] = {}
        for pattern in every:
            alike.setdefault((pattern.means, pattern.where), []).append(pattern)
        telling = [pattern for pattern in every if pattern.means is not Means.COURTESY]
        self._opening = _joined(telling, naming=False)
        self._ending = _joined((each for each in telling if each.where is Where.ANYWHERE), naming=False)
        self._alike = alike
        self._searches: list[tuple[Means, Where, list[Pattern], re.Pattern[str]]] = []

    def find(self, lines: Sequence[str], weights: Sequence[int]) -> Found | None:
        """What is found; None where there is no refusal, no evasion and no disclaimer.

        Two hints are an evasion, and one is nothing.
        """
        text = "\n".join(lines)
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        opening = starts[min(len(lines), bisect_left(list(accumulate(weights)), _OPENING) + 1)]
        if not self._opening.search(text, 0, opening):
            last = starts[max(0, len(lines) - _LAST)]
            if not self._ending.search(text, max(opening, last)):
                return None
        found: Found = {means: {} for means in Means}
        hints = 0
        for means, where, patterns, search in self._compiled():
            for hit in search.finditer(text, 0, opening if where is Where.OPENING else len(text)):
                line = bisect_right(starts, hit.start()) - 1
                found[means].setdefault(line, patterns[(hit.lastindex or 1) - 1].name)
                hints += means is Means.HINT
        if hints + bool(found[Means.SOFT]) > 1:
            found[Means.SOFT] = found[Means.HINT] | found[Means.SOFT]
        return found if any(found[means] for means in _TELLING) else None

    def _compiled(self) -> list[tuple[Means, Where, list[Pattern], re.Pattern[str]]]:
        if not self._searches:
            self._searches = [
                (means, where, group, _joined(group)) for (means, where), group in self._alike.items()
            ]
        return self._searches


def _joined(patterns: Iterable[Pattern], *, naming: bool = True) -> re.Pattern[str]:
    """One expression, with a group for each pattern if it shall name them.

    Patterns of languages that space their words start where a word does.
    """
    every = tuple(patterns)
    joined = "|".join(f"({pattern.expression})" if naming else f"(?:{pattern.expression})" for pattern in every)
    unspaced = any(pattern.language in UNSPACED for pattern in every)
    return re.compile((joined or _NEVER) if unspaced else rf"\b(?=\w)(?:{joined or _NEVER})", re.MULTILINE)
