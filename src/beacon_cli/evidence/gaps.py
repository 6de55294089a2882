"""The questions on which groups are farthest apart. Exploratory: a list to look at, from which no verdict follows.

A question taken alone cannot be significant below 8 repeats under Holm's correction over 50 questions; so q-values
by Benjamini-Hochberg stand beside, and the texts. Must not know what the verdict is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from beacon_cli.evidence.corrections import benjamini_hochberg
from beacon_cli.evidence.effects import rounded
from beacon_cli.evidence.findings import Gap
from beacon_cli.evidence.pairs import Pairs
from beacon_cli.evidence.permutation import assignments, permuted, spread
from beacon_cli.evidence.units import RATES, Units, by_cell, indicator
from beacon_cli.model import Measure

MOST = 20
"""Gaps that are listed, for each model."""


def gaps(model: str, these: Units, those: Pairs, measure: Measure, seed: int) -> tuple[list[Gap], int]:
    """The largest gaps of one model, widest first, and how many p-values were computed for them."""
    if len(these.groups) < 2 or not these.cells:  # noqa: PLR2004 - a comparison needs two
        return [], 0
    found = (
        _of_rate(model, these, measure, seed) if measure in RATES else _of_distance(model, these, those, measure)
    )
    widest = sorted(found, key=lambda gap: (-abs(gap.gap), gap.question, gap.context or ""))
    return [gap for gap in widest if gap.gap][:MOST], sum(gap.p is not None for gap in found)


def _of_rate(model: str, these: Units, measure: Measure, seed: int) -> list[Gap]:
    values = indicator(these.answers, measure)
    each, weight = by_cell(these, values)
    groups = range(len(these.groups))
    total = [(each * weight)[these.group == group].sum(axis=0) for group in groups]
    count = [weight[these.group == group].sum(axis=0) for group in groups]
    rate = np.stack([some / np.maximum(of, 1) for some, of in zip(total, count, strict=True)])
    ways = assignments(these.group, these.stratum, seed=seed)
    ps = [float(p) for p in np.atleast_1d(permuted(spread(each, len(groups), np.sign(weight)), ways).p)]
    qs = benjamini_hochberg(ps)
    found = []
    for place, (question, context) in enumerate(these.cells):
        first, second = max(
            itertools.combinations(groups, 2), key=lambda two: abs(rate[two[1], place] - rate[two[0], place])
        )
        gap = float(rate[second, place] - rate[first, place])
        here = these.cell == place
        found.append(
            Gap(
                model=model,
                question=question,
                context=context,
                measure=measure,
                first=these.groups[first],
                second=these.groups[second],
                gap=rounded(gap) or 0.0,
                p=rounded(ps[place]),
                q=rounded(qs[place]),
                family=len(ps),
                first_execution=_example(these, here, first, values, wanted=float(gap < 0)),
                second_execution=_example(these, here, second, values, wanted=float(gap > 0)),
            )
        )
    return found


def _of_distance(model: str, these: Units, those: Pairs, measure: Measure) -> list[Gap]:
    """Between minus within, for each question and the two groups that are farthest apart."""
    found = []
    groups = these.group[these.unit]
    ends = groups[those.first], groups[those.second]
    place_of = these.cell[those.first]
    values = those.distances[measure]
    for place, (question, context) in enumerate(these.cells):
        here = (place_of == place) & ~np.isnan(values)
        means = {
            two: float(values[here & (np.minimum(*ends) == two[0]) & (np.maximum(*ends) == two[1])].mean())
            for two in _present(ends[0][here], ends[1][here])
        }
        apart = {two: mean for two, mean in means.items() if two[0] != two[1]}
        inside = [mean for two, mean in means.items() if two[0] == two[1]]
        if not apart or not inside:
            continue
        first, second = max(apart, key=lambda two: apart[two])
        cell = these.cell == place
        found.append(
            Gap(
                model=model,
                question=question,
                context=context,
                measure=measure,
                first=these.groups[first],
                second=these.groups[second],
                gap=rounded(apart[first, second] - sum(inside) / len(inside)) or 0.0,
                p=None,
                q=None,
                family=len(these.cells),
                first_execution=_example(these, cell, first, None, wanted=0.0),
                second_execution=_example(these, cell, second, None, wanted=0.0),
            )
        )
    return found


def _present(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, int]]:
    low, high = np.minimum(first, second).tolist(), np.maximum(first, second).tolist()
    yield from sorted(set(zip(low, high, strict=True)))


def _example(these: Units, here: np.ndarray, group: int, values: np.ndarray | None, *, wanted: float) -> str:
    """An execution of the group, if possible one that reads as `wanted`; always the same one."""
    places = np.flatnonzero(here & (these.group[these.unit] == group)).tolist()
    ordered = sorted(
        places,
        key=lambda place: (
            values is not None and values[place] != wanted,
            these.answers[place].repeat,
            these.answers[place].execution,
        ),
    )
    return these.answers[ordered[0]].execution
