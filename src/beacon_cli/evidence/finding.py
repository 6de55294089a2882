"""Finds patterns in sentences: which lines refuse, evade, qualify. Pure; judges no answer."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from beacon_cli.evidence.patterns import UNSPACED, Means, Pattern, Where

Found = dict[Means, dict[int, str]]
"""For each meaning the lines that have it, with the name of the first pattern found there."""

_OPENING = 320
"""An opening is the sentences that begin so early, in Latin letters."""
_LAST = 2
"""Sentences at the end that are looked at even if the opening tells nothing."""
_PLAIN = frozenset({Means.COURTESY, Means.HINT})
"""What tells nothing by itself."""


class Finder:
    """The patterns of one language, as one search for an opening and one for the rest."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        order = list(Means)
        every = sorted(patterns, key=lambda pattern: order.index(pattern.means))
        self._opening = _Search(every)
        self._rest = _Search([pattern for pattern in every if pattern.where is Where.ANYWHERE])

    def find(self, lines: Sequence[str], weights: Sequence[int]) -> Found | None:
        """What is found; None where neither the opening nor the end refuses, evades or qualifies.

        Two hints are an evasion, and one is nothing.
        """
        text = "\n".join(lines)
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        opening = min(len(lines), bisect_left(list(accumulate(weights)), _OPENING) + 1)
        ending = max(opening, len(lines) - _LAST)
        hits = self._opening.hits(text, 0, starts[opening])
        last = self._rest.hits(text, starts[ending], len(text))
        if not _tells(hits + last):
            return None
        hits += self._rest.hits(text, starts[opening], starts[ending]) + last
        found: Found = {means: {} for means in Means}
        for start, pattern in hits:
            found[pattern.means].setdefault(bisect_right(starts, start) - 1, pattern.name)
        if sum(pattern.means is Means.HINT for _, pattern in hits) + bool(found[Means.SOFT]) > 1:
            found[Means.SOFT] = found[Means.HINT] | found[Means.SOFT]
        return found


_Hits = list[tuple[int, Pattern]]


class _Search:
    """Patterns as one expression. At each place it finds the first that matches there, and none hides another."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        joined = "|".join(f"({pattern.expression})" for pattern in patterns)
        spaced = not any(pattern.language in UNSPACED for pattern in patterns)
        ahead = rf"(?={joined or '(?!)'})"
        self._patterns = patterns
        self._expression = re.compile(rf"\b(?=\w){ahead}" if spaced else ahead, re.MULTILINE)

    def hits(self, text: str, start: int, end: int) -> _Hits:
        """Where which pattern matches; of hints that overlap the first alone."""
        hits: _Hits = []
        hinted = start
        for hit in self._expression.finditer(text, start, end):
            number = hit.lastindex or 1
            pattern = self._patterns[number - 1]
            if pattern.means is Means.HINT:
                if hit.start() < hinted:
                    continue
                hinted = hit.end(number)
            hits.append((hit.start(), pattern))
        return hits


def _tells(hits: _Hits) -> bool:
    hints = sum(pattern.means is Means.HINT for _, pattern in hits)
    return hints > 1 or any(pattern.means not in _PLAIN for _, pattern in hits)
