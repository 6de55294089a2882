"""Finds patterns in sentences: which lines refuse, evade, qualify. Pure; judges no answer."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from operator import or_

from beacon_cli.evidence.necessary import END, LONGEST, MOST_SETS, branches, needed
from beacon_cli.evidence.patterns import Means, Part, Pattern, Where

Found = dict[Means, dict[int, str]]
"""For each meaning the lines that have it, with the name of the first pattern found there."""

_OPENING = 320
"""An opening is the sentences that begin so early, in Latin letters."""
_LAST = 2
"""Sentences at the end that are looked at even if the opening tells nothing."""
_PLAIN = frozenset({Means.COURTESY, Means.HINT})
"""What tells nothing by itself."""
_WORD = re.compile(r"\w+")
_MOST_WORDS = 50_000
"""Words that are remembered with the patterns that they are for."""
_MOST_LINES = 5_000
"""Lines that are remembered with what was found in them."""
_LONG = 300
"""Longer lines are not: they hardly come again."""


def parts(pattern: Pattern, *, spaced: bool) -> tuple[Part, ...]:
    """The alternatives of a pattern, for texts with spaces between words or without."""
    if pattern.parts and pattern.is_spaced == spaced:
        return pattern.parts
    return tuple(
        Part(each, tuple(tuple(sorted(beginnings)) for beginnings in needed(each, spaced=spaced)))
        for each in branches(pattern.expression)
    )


class Finder:
    """The patterns of one language. Each is tried only on lines with words that it needs (`necessary`)."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        order = list(Means)
        ordered = sorted(patterns, key=lambda pattern: order.index(pattern.means))
        self._spaced = all(pattern.is_spaced for pattern in ordered)
        self._parts = [(pattern, part) for pattern in ordered for part in parts(pattern, spaced=self._spaced)]
        self._searches: dict[int, re.Pattern[str]] = {}
        self._met: dict[int, dict[str, tuple[Pattern, ...]]] = {}
        """What was found in a line, by what was allowed: models say the same sentences in every region."""
        self._by_beginning, self._always = self._indexed()
        self._by_word = _Words(self._by_beginning, spaced=self._spaced)
        anywhere = (pattern.where is Where.ANYWHERE for pattern, _ in self._parts)
        self._anywhere = sum(1 << number for number, counts in enumerate(anywhere) if counts)

    def find(self, lines: Sequence[str], weights: Sequence[int]) -> Found | None:
        """What is found; None where neither the opening nor the end refuses, evades or qualifies.

        Two hints are an evasion, and one is nothing.
        """
        opening = min(len(lines), bisect_left(list(accumulate(weights)), _OPENING) + 1)
        ending = max(opening, len(lines) - _LAST)
        hits = self._hits(lines, range(opening), -1)
        last = self._hits(lines, range(ending, len(lines)), self._anywhere)
        if not _tells(hits + last):
            return None
        hits += self._hits(lines, range(opening, ending), self._anywhere) + last
        found: Found = {means: {} for means in Means}
        for line, pattern in hits:
            found[pattern.means].setdefault(line, pattern.name)
        if sum(pattern.means is Means.HINT for _, pattern in hits) + bool(found[Means.SOFT]) > 1:
            found[Means.SOFT] = found[Means.HINT] | found[Means.SOFT]
        return found

    def _hits(self, lines: Sequence[str], numbers: Iterable[int], allowed: int) -> _Hits:
        """In which of these lines which of the allowed patterns match, as bits."""
        met = self._met.setdefault(allowed, {})
        hits: _Hits = []
        for number in numbers:
            line = lines[number]
            found = met.get(line)
            if found is None:
                found = tuple(self._matching(line, allowed))
                if len(met) < _MOST_LINES and len(line) < _LONG:
                    met[line] = found
            hits += [(number, pattern) for pattern in found]
        return hits

    def _matching(self, line: str, allowed: int) -> Iterator[Pattern]:
        """The first that matches at each place; of hints that overlap the first alone."""
        likely = self._likely(line) & allowed
        spans = []
        while likely:
            number = likely.bit_length() - 1
            likely ^= 1 << number
            search = self._searches.get(number) or self._compiled(number)
            if search.search(line):
                spans += [(found.start(), number, found.end()) for found in search.finditer(line)]
        last, hinted = -1, 0
        for start, number, end in sorted(spans):
            pattern, _ = self._parts[number]
            if start == last or (pattern.means is Means.HINT and start < hinted):
                continue
            last, hinted = start, end if pattern.means is Means.HINT else hinted
            yield pattern

    def _compiled(self, number: int) -> re.Pattern[str]:
        """An alternative of a pattern as a search; compiled when it is first needed, for most never are."""
        expression = self._parts[number][1].expression
        search = re.compile(rf"\b(?=\w)(?:{expression})" if self._spaced else expression)
        self._searches[number] = search
        return search

    def _likely(self, line: str) -> int:
        """The patterns that this line has words for, as bits."""
        words = line.split() if self._spaced else map("".join, pairwise(line + END))
        met = reduce(or_, filter(None, map(self._by_word.__getitem__, words)), self._always)
        for _ in range(MOST_SETS - 1):
            met &= met >> len(self._parts)
        return met

    def _indexed(self) -> tuple[dict[str, int], int]:
        """The needs that each beginning meets, as bits, first needs lowest; and those that are always met."""
        index: dict[str, int] = {}
        always = 0
        for number, (_, part) in enumerate(self._parts):
            needs = part.needs
            for place in range(MOST_SETS):
                bit = 1 << number + place * len(self._parts)
                always |= 0 if place < len(needs) else bit
                for beginning in needs[place] if place < len(needs) else ():
                    index[beginning] = index.get(beginning, 0) | bit
        return index, always


class _Words(dict[str, int]):
    """What is met by a word: the needs that are for one of its beginnings. Remembered, since words come again."""

    def __init__(self, by_beginning: Mapping[str, int], *, spaced: bool) -> None:
        super().__init__()
        self._by_beginning = by_beginning
        self._parted: Callable[[str], Iterable[str]] = _WORD.findall if spaced else lambda word: (word,)

    def __missing__(self, word: str) -> int:
        beginnings = {f"{part}{END}"[:length] for part in self._parted(word) for length in range(1, LONGEST + 1)}
        met = reduce(or_, (self._by_beginning.get(each, 0) for each in beginnings), 0)
        if len(self) < _MOST_WORDS:
            self[word] = met
        return met


_Hits = list[tuple[int, Pattern]]


def _tells(hits: _Hits) -> bool:
    hints = sum(pattern.means is Means.HINT for _, pattern in hits)
    return hints > 1 or any(pattern.means not in _PLAIN for _, pattern in hits)
