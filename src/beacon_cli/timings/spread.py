"""How numbers are spread, in bounded memory: exact for few, to half a per cent for many. Pure."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from enum import StrEnum
from itertools import accumulate

import msgspec

EXACT = 2_000
"""So many values are kept as they are; more are counted in bins."""
_STEP = math.log(1.01)
"""A bin is one per cent wide, so its middle is at most half a per cent from any value in it."""
_LEAST = 1e-4
"""What is smaller counts as this."""


class Spread:
    """Values from 0 up, added one by one."""

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0
        self.least = math.inf
        self.most = 0.0
        self._values = array("d")
        self._bins: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Take one more value into account; `value` is finite and not negative."""
        self.n += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)
        if self._bins:
            self._count(value)
            return
        self._values.append(value)
        if self.n > EXACT:
            self._into_bins()

    def _into_bins(self) -> None:
        for each in self._values:
            self._count(each)
        del self._values[:]

    def merge(self, other: Spread) -> None:
        """Take all values of another into account."""
        self.n += other.n
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        self._values.extend(other._values)
        for place, count in other._bins.items():
            self._bins[place] = self._bins.get(place, 0) + count
        if self._bins or self.n > EXACT:
            self._into_bins()

    @property
    def mean(self) -> float | None:
        """The average; None of nothing."""
        return self.total / self.n if self.n else None

    def quantile(self, share: float) -> float | None:
        """The value below which `share` (0 to 1) of them are, between two by their distance; None of nothing."""
        found = self.quantiles([share])
        return found[0] if found else None

    def quantiles(self, shares: list[float]) -> list[float]:
        """As `quantile`, of several at once; empty of nothing."""
        if not self.n:
            return []
        if not self._bins:
            ordered = sorted(self._values)
            return [_between(ordered, share) for share in shares]
        bins = sorted(self._bins)
        upto = list(accumulate(self._bins[each] for each in bins))
        found = (bins[min(bisect_right(upto, share * (self.n - 1)), len(bins) - 1)] for share in shares)
        return [min(self.most, max(self.least, _LEAST * math.exp((each + 0.5) * _STEP))) for each in found]

    def count_below(self, limit: float) -> int:
        """How many are smaller than `limit`; of many, to the width of a bin."""
        if not self._bins:
            return sum(value < limit for value in self._values)
        return sum(count for place, count in self._bins.items() if place < _place(limit))

    def _count(self, value: float) -> None:
        place = _place(value)
        self._bins[place] = self._bins.get(place, 0) + 1


def _place(value: float) -> int:
    return int(math.log(max(value, _LEAST) / _LEAST) / _STEP)


def _between(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Source(StrEnum):
    """Where a distribution comes from, in words that can be shown."""

    MEASURED = "measured"
    ORIGINAL = "the original system's figures"


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How long something takes, in seconds. `n` values stand behind it; 0: none, it was assumed.

    `points` are its values at even steps of the share, from the least to the most.
    """

    n: int
    source: Source
    points: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """The seconds that `share` (0 to 1) of them stay below; `quantile(uniform draw)` draws one."""
        return _between(list(self.points), min(1.0, max(0.0, share)))

    @property
    def mean(self) -> float:
        """The average, of the points in between as lines."""
        if len(self.points) == 1:
            return self.points[0]
        ends = (self.points[0] + self.points[-1]) / 2
        return (ends + sum(self.points[1:-1])) / (len(self.points) - 1)


_POINTS = [step / 100 for step in range(101)]


def measured(values: Spread) -> Distribution | None:
    """The distribution of values that were measured; None of nothing."""
    if not values.n:
        return None
    return Distribution(n=values.n, source=Source.MEASURED, points=tuple(values.quantiles(_POINTS)))


def assumed(low: float, high: float, source: Source = Source.ORIGINAL) -> Distribution:
    """An even distribution between two bounds that nobody measured here."""
    return Distribution(n=0, source=source, points=(low, high))
