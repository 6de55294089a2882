"""One test and the size of what it looked for: from containers' answers to an `Effect`.

Figures are rounded to what they can bear, so that they are the same on every machine. Must not know what follows
from them: that is `verdicts`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from beacon_cli.evidence import intervals, power
from beacon_cli.evidence.findings import Effect, Role, Starts
from beacon_cli.evidence.intervals import Bounds
from beacon_cli.evidence.pairs import Pairs, Sums, sums
from beacon_cli.evidence.permutation import (
    Bools,
    Floats,
    assignments,
    between_minus_within,
    permuted,
    smallest_p,
    spread,
)
from beacon_cli.evidence.units import RATES, Units, indicator, means, units
from beacon_cli.model import Measure

_STILL = 1e-6
"""Container means so close are the same."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a test is to be: `planned` questions, `level` is what the correction leaves of `alpha` at worst."""

    model: str
    measure: Measure
    role: Role
    planned: int
    alpha: float
    seed: int
    level: float = 0.05
    by_region: bool = False


def effect(ask: Ask, these: Units, those: Pairs) -> Effect:
    """The test that `ask` names, over all groups of the units; `those` are their pairs, needed for a distance."""
    if ask.measure in RATES:
        return _rate(ask, these)
    return next(_distances(ask, these, sums(these, those, [ask.measure])))


def distances(ask: Ask, these: Units, those: Pairs, wanted: Sequence[Measure]) -> Iterator[Effect]:
    """The same test by several distances, whichever measure `ask` names."""
    yield from _distances(ask, these, sums(these, those, wanted))


def between_two(ask: Ask, these: Units, those: Pairs, first: str, second: str) -> Effect:
    """The test that `ask` names, between two of the groups alone."""
    two = (first, second)
    fewer = units([answer for answer in these.answers if answer.group in two], two, by_region=ask.by_region)
    if ask.measure in RATES:
        return _rate(ask, fewer)
    return next(_distances(ask, fewer, _of_two(these, sums(these, those, [ask.measure]), two)))


def _rate(ask: Ask, these: Units) -> Effect:
    values = indicator(these.answers, ask.measure)
    each = means(these, values)
    groups = len(these.groups)
    base = _base(ask, these)
    if min(these.sizes, default=0) == 0 or groups < 2:  # noqa: PLR2004 - a comparison needs two
        return base
    of_group = [float(each[these.group == group].mean()) for group in range(groups)]
    pairs = list(itertools.combinations(range(groups), 2))
    first, second = max(pairs, key=lambda pair: abs(of_group[pair[1]] - of_group[pair[0]]))
    confidence = 1 - ask.alpha / len(pairs)
    bounds, how = _bounds(these, values, each, (first, second), confidence)
    ways = assignments(these.group, these.stratum, seed=ask.seed)
    p = float(permuted(spread(each, groups), ways).p)
    low, high = bounds or (None, None)
    return msgspec.structs.replace(
        base,
        widest=(these.groups[first], these.groups[second]),
        gap=rounded(_apart(these, each, (first, second))),
        low=rounded(low),
        high=rounded(high),
        confidence=rounded(confidence) or confidence,
        interval=how,
        p=rounded(p),
        permutations=ways.count,
        exact=ways.exact,
        starts=tuple(
            Starts(group=name, containers=size, mean=rounded(mean))
            for name, size, mean in zip(these.groups, these.sizes, of_group, strict=True)
        ),
        smallest_detectable=detectable(these, each, ask.level) if ask.role is Role.PRIMARY else None,
    )


def _bounds(
    these: Units, values: Floats, each: Floats, pair: tuple[int, int], confidence: float
) -> tuple[Bounds | None, str]:
    """The interval for the second group of `pair` minus the first, and how it was made.

    Answers count as independent only where containers are seen not to vary at all: two or more in every stratum,
    all alike. One alone shows nothing.
    """
    parts = [[(these.group == group) & (these.stratum == stratum) for group in pair] for stratum in _strata(these)]
    strata = [(each[first], each[second]) for first, second in parts]
    bounds = intervals.welch(strata, confidence)
    if bounds is not None:
        return bounds, "welch"
    if any(len(sample) < 2 or np.ptp(sample) > _STILL for both in strata for sample in both):  # noqa: PLR2004
        return None, "none"
    counts = [(_counts(these, values, first), _counts(these, values, second)) for first, second in parts]
    return intervals.newcombe_over(counts, confidence), "newcombe"


def _strata(these: Units) -> list[int]:
    return [int(stratum) for stratum in np.unique(these.stratum)]


def _by_stratum(these: Units) -> list[list[int]]:
    """The number of containers of each group, in each stratum."""
    groups = len(these.groups)
    return [
        np.bincount(these.group[these.stratum == stratum], minlength=groups).tolist() for stratum in _strata(these)
    ]


def _apart(these: Units, each: Floats, pair: tuple[int, int]) -> float:
    """The second group's mean of container means less the first's: the mean of this over strata that have both."""
    gaps = [
        float(second.mean() - first.mean())
        for stratum in _strata(these)
        for first, second in [[each[(these.group == group) & (these.stratum == stratum)] for group in pair]]
        if len(first) and len(second)
    ]
    return sum(gaps) / len(gaps) if gaps else math.nan


def _counts(these: Units, values: Floats, chosen: Bools) -> tuple[int, int]:
    """How many answers of the chosen units count, of how many."""
    inside = chosen[these.unit]
    return int(values[inside].sum()), int(inside.sum())


def detectable(these: Units, each: Floats, level: float) -> float | None:
    """The gap that containers spread as these are would show in 80 of 100 cases; None if so few show nothing.

    Where nothing varies, as if a fifth of the answers refused.
    """
    starts = min(these.sizes)
    if starts < power.FEWEST_STARTS:
        return None
    inside = [each[these.group == group] for group in range(len(these.groups))]
    variance = sum(float(((part - part.mean()) ** 2).sum()) for part in inside) / (len(each) - len(inside))
    noise = power.Noise(variance=0.0, container=math.sqrt(variance)) if variance > 1e-12 else power.Noise()  # noqa: PLR2004
    simulated = min(starts, power.MOST_STARTS)
    size = power.Size(prompts=len(these.cells), starts=simulated, groups=len(these.groups))
    found = power.smallest_detectable(size, level=level, noise=noise)
    return None if found is None else rounded(found * math.sqrt(simulated / starts))


def _distances(ask: Ask, these: Units, those: Sums) -> Iterator[Effect]:
    asks = [msgspec.structs.replace(ask, measure=measure) for measure in those.measures]
    bases = [_base(each, these) for each in asks]
    same = these.group[those.first] == these.group[those.second]
    between, within = _means(those, ~same), _means(those, same)
    if len(these.groups) < 2 or not same.any() or same.all():  # noqa: PLR2004 - a comparison needs two
        yield from (_with_means(base, *told) for base, *told in zip(bases, between, within, strict=True))
        return
    ways = assignments(these.group, these.stratum, seed=ask.seed)
    statistic = between_minus_within(those.first, those.second, those.sums, those.counts)
    outcome = permuted(statistic, ways, len(those.first))
    without = _without_each(these, those, same)
    for column, base in enumerate(bases):
        gap = float(outcome.statistic[column])
        bounds, how = _around(these, gap, without[:, column], is_zero=not those.sums[:, column].any(), ask=ask)
        low, high = bounds or (None, None)
        yield msgspec.structs.replace(
            _with_means(base, between[column], within[column]),
            gap=rounded(gap),
            low=rounded(low),
            high=rounded(high),
            interval=how,
            p=rounded(float(outcome.p[column])),
            permutations=ways.count,
            exact=ways.exact,
        )


def _around(these: Units, gap: float, without: Floats, *, is_zero: bool, ask: Ask) -> tuple[Bounds | None, str]:
    """The interval for between minus within, and how it was made."""
    bounds = intervals.jackknife(gap, without, these.group, 1 - ask.alpha)
    if bounds is not None:
        return bounds, "jackknife"
    if not is_zero:
        return None, "none"
    fewest = int(
        np.bincount(these.group[these.unit]).min()
    )  # every text is the same: as if no answer of any differed
    return intervals.newcombe((0, fewest), (0, fewest), 1 - ask.alpha), "newcombe"


def _without_each(these: Units, those: Sums, same: Bools) -> Floats:
    """Between minus within by each measure, leaving out one unit at a time; NaN where nothing is left."""

    def left(chosen: Bools) -> Floats:
        parts = []
        for amounts in (those.sums, those.counts):
            told = amounts * chosen[:, None]
            touched = np.zeros((len(these.group), told.shape[1]))
            np.add.at(touched, those.first, told)
            np.add.at(touched, those.second, told)
            parts.append(told.sum(axis=0) - touched)
        mean: Floats = np.divide(parts[0], parts[1], out=np.full_like(parts[0], np.nan), where=parts[1] > 0)
        return mean

    without: Floats = left(~same) - left(same)
    return without


def _of_two(these: Units, those: Sums, two: tuple[str, str]) -> Sums:
    """The sums between units of two groups, with the units counted among these alone."""
    order = [these.groups.index(name) for name in two]
    kept = np.concatenate([np.flatnonzero(these.group == group) for group in order])
    place = np.full(len(these.group), -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    inside = (place[those.first] >= 0) & (place[those.second] >= 0)
    return Sums(
        measures=those.measures,
        first=place[those.first[inside]],
        second=place[those.second[inside]],
        sums=those.sums[inside],
        counts=those.counts[inside],
    )


def _means(those: Sums, chosen: Bools) -> list[float | None]:
    totals, counts = those.sums[chosen].sum(axis=0), those.counts[chosen].sum(axis=0)
    return [float(total / count) if count else None for total, count in zip(totals, counts, strict=True)]


def _with_means(base: Effect, between: float | None, within: float | None) -> Effect:
    return msgspec.structs.replace(base, between=rounded(between), within=rounded(within))


def _base(ask: Ask, these: Units) -> Effect:
    """An effect of which nothing is known yet but what went into it."""
    sizes = these.sizes
    return Effect(
        role=ask.role,
        model=ask.model,
        measure=ask.measure,
        groups=these.groups,
        widest=None,
        questions=len(these.cells),
        questions_planned=ask.planned,
        answers=len(these.answers),
        gap=None,
        low=None,
        high=None,
        confidence=1 - ask.alpha,
        interval="none",
        between=None,
        within=None,
        p=None,
        p_adjusted=None,
        correction="none",
        family=1,
        permutations=0,
        exact=False,
        smallest_p=rounded(smallest_p(*_by_stratum(these))) if len(sizes) > 1 and min(sizes) > 0 else None,
        starts=tuple(
            Starts(group=name, containers=size, mean=None) for name, size in zip(these.groups, sizes, strict=True)
        ),
        smallest_detectable=None,
    )


def rounded(value: float | None) -> float | None:
    """Six digits behind the point: what is beyond differs from machine to machine."""
    return None if value is None or not math.isfinite(value) else round(value, 6) + 0.0
