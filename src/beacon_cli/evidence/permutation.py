"""Permutation of whole containers between groups: exact where that is small, else drawn with a seed.

A container start is the unit that chance assigned; answers from one container share its batch, GPU and driver, so
they move together or not at all. Permuting answers instead gives 40 to 63 % false alarms where containers differ.

The same assignments serve every statistic of a comparison, and may be kept within strata. SciPy's
`permutation_test` has no strata and draws anew for each statistic; the tests hold this room against it. The draws
come from the raw stream of PCG64, which NumPy keeps the same over versions. Must not know what a container or a
region is.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.intp]
Bools: TypeAlias = npt.NDArray[np.bool_]
Statistic: TypeAlias = Callable[[Ints], Floats]
"""From assignments (one in each row, the group of each unit in the columns) to one figure, or a row, for each."""

EXACT = 50_000
"""With at most so many assignments, all are counted: three groups of four have 34,650."""
DRAWS = 9_999
"""Otherwise so many are drawn."""

_CHUNK = 4_000_000
"""Cells of an intermediate array."""
_TIE = 1e-9
"""Statistics so close, in relation to their size, are the same: sums come in another order."""


class Assignments(msgspec.Struct, frozen=True, kw_only=True):
    """Ways in which the units could have come to their groups, in `rows` (count x units).

    The observed one is among them only if they are all there are (`exact`).
    """

    observed: Ints
    rows: Ints
    exact: bool

    @property
    def count(self) -> int:
        """How many: all of them, or those drawn."""
        return len(self.rows)


class Permuted(msgspec.Struct, frozen=True, kw_only=True):
    """What a permutation test gave: `p` for the upper tail; arrays where the statistic gave a row."""

    statistic: Floats
    p: Floats


def assignments(
    group: Ints, stratum: Ints | None = None, *, seed: int, exact: int = EXACT, draws: int = DRAWS
) -> Assignments:
    """The assignments of units to groups, each group as large as it is, within each stratum.

    `group` and `stratum` number each unit's (from 0). All of them, if there are at most `exact`, else `draws`.
    """
    strata = np.zeros_like(group) if stratum is None else stratum
    parts = [np.flatnonzero(strata == which) for which in np.unique(strata)]
    if math.prod(_ways(np.bincount(group[part]).tolist()) for part in parts) <= exact:
        rows = np.array(list(_all(group, parts)), dtype=np.intp)
        return Assignments(observed=group, rows=rows, exact=True)
    return Assignments(observed=group, rows=_drawn(group, parts, seed, draws), exact=False)


def smallest_p(*strata: list[int]) -> float:
    """The smallest p that groups of these sizes, in each stratum, can give: 2 / C(2K, K) for two of K in one.

    Groups of one size (in every stratum) may swap their names without changing the statistic, so the most extreme
    assignment never comes alone.
    """
    alike = Counter(zip(*strata, strict=True))
    swaps = math.prod(math.factorial(count) for count in alike.values())
    return min(1.0, max(swaps / math.prod(map(_ways, strata)), sys.float_info.min))


def permuted(statistic: Statistic, ways: Assignments, width: int = 1) -> Permuted:
    """How the observed statistic stands among those of the assignments; large values count as extreme.

    `width` is how many figures the statistic holds at once for each assignment, beside one for each unit.

    p is k / count over all assignments, the observed one among them, else (1 + k) / (1 + count): never 0
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).
    """
    observed = statistic(ways.observed[None, :])[0]
    border = observed - _TIE * np.maximum(1e-3, np.abs(observed))
    step = max(1, _CHUNK // max(1, width, ways.rows.shape[1], np.size(observed)))
    extreme = sum(
        (statistic(ways.rows[start : start + step]) >= border).sum(axis=0) for start in range(0, ways.count, step)
    )
    p = extreme / ways.count if ways.exact else (1 + extreme) / (1 + ways.count)
    return Permuted(statistic=np.asarray(observed), p=np.asarray(p, dtype=np.float64))


def spread(values: Floats, groups: int, weights: Floats | None = None) -> Statistic:
    """The spread between group means: the sum over groups of size times squared distance from the mean of all.

    With two groups it orders assignments as the absolute difference of their means does. `values` has a row for
    each unit, and may have a column for each of several questions; a weight 0 leaves a value out.
    """
    weight = np.ones_like(values) if weights is None else weights
    centred = (values - (weight * values).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)) * weight

    def statistic(rows: Ints) -> Floats:
        total: Floats = np.zeros((len(rows), *values.shape[1:]))
        for group in range(groups):
            chosen = (rows == group).astype(np.float64)
            size = chosen @ weight
            total += np.divide((chosen @ centred) ** 2, size, out=np.zeros_like(total), where=size > 0)
        return total

    return statistic


def between_minus_within(first: Ints, second: Ints, sums: Floats, counts: Floats) -> Statistic:
    """The mean distance between groups minus the mean within, over pairs of units.

    Pair n is of the units `first[n]` and `second[n]`, whose `counts[n]` distances add up to `sums[n]`; both may
    have a column for each of several measures. Large values say that the groups differ; small ones say nothing.
    Without pairs on one side it is 0.
    """
    all_sum, all_count = sums.sum(axis=0), counts.sum(axis=0)

    def statistic(rows: Ints) -> Floats:
        same = (rows[:, first] == rows[:, second]).astype(np.float64)
        inside, inside_count = same @ sums, same @ counts
        outside, outside_count = all_sum - inside, all_count - inside_count
        both = (inside_count > 0) & (outside_count > 0)
        within = inside / np.maximum(inside_count, 1)
        return np.where(both, outside / np.maximum(outside_count, 1) - within, 0.0)

    return statistic


def _ways(sizes: list[int]) -> int:
    return math.factorial(sum(sizes)) // math.prod(math.factorial(size) for size in sizes)


def _all(group: Ints, parts: list[Ints]) -> Iterator[Ints]:
    each = [list(_splits(tuple(range(len(part))), np.bincount(group[part]).tolist())) for part in parts]
    for choice in itertools.product(*each):
        row = np.empty_like(group)
        for part, chosen in zip(parts, choice, strict=True):
            row[part] = chosen
        yield row


def _splits(places: tuple[int, ...], sizes: list[int]) -> Iterator[list[int]]:
    """Every way to give each of the places a group, so many of each."""
    labels = [0] * len(places)

    def fill(rest: tuple[int, ...], group: int) -> Iterator[list[int]]:
        if group == len(sizes) - 1:
            for place in rest:
                labels[place] = group
            yield labels.copy()
            return
        for chosen in itertools.combinations(rest, sizes[group]):
            for place in chosen:
                labels[place] = group
            yield from fill(tuple(place for place in rest if place not in chosen), group + 1)

    return fill(places, 0)


def _drawn(group: Ints, parts: list[Ints], seed: int, draws: int) -> Ints:
    rows = np.empty((draws, len(group)), dtype=np.intp)
    stream = np.random.PCG64(seed)
    for part in parts:
        keys = stream.random_raw(draws * len(part)).reshape(draws, len(part))
        rows[:, part] = group[part][np.argsort(keys, axis=1, kind="stable")]
    return rows
