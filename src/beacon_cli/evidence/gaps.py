"""The questions on which groups are farthest apart. Exploratory: a list to look at, from which no verdict follows.

A question taken alone cannot be significant below 8 repeats under Holm's correction over 50 questions; so q-values
by Benjamini-Hochberg stand beside, and the texts. Must not know what the verdict is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from beacon_cli.evidence.corrections import benjamini_hochberg
from beacon_cli.evidence.effects import rounded
from beacon_cli.evidence.findings import Gap
from beacon_cli.evidence.pairs import Pairs
from beacon_cli.evidence.permutation import Floats, assignments, permuted, spread
from beacon_cli.evidence.units import RATES, Units, by_cell, indicator
from beacon_cli.model import Measure

MOST = 20
"""Gaps that are listed, for each model."""


def gaps(model: str, these: Units, those: Pairs, measure: Measure, seed: int) -> tuple[list[Gap], int]:
    """The largest gaps of one model, widest first, and how many p-values were computed for them."""
    if len(these.groups) < 2 or not these.cells:  # noqa: PLR2004 - a comparison needs two
        return [], 0
    values = indicator(these.answers, measure) if measure in RATES else None
    told = _of_distance(these, those, measure) if values is None else _of_rate(these, values, seed)
    found = [_gap(model, these, measure, values, each) for each in told]
    widest = sorted(found, key=lambda gap: (-abs(gap.gap), gap.question, gap.context or ""))
    return [gap for gap in widest if gap.gap][:MOST], sum(gap.p is not None for gap in found)


class _Found(NamedTuple):
    """What was found for one question: the two groups, by their numbers, and how far the second is above."""

    place: int
    first: int
    second: int
    gap: float
    p: float | None = None
    q: float | None = None


def _of_rate(these: Units, values: Floats, seed: int) -> Iterator[_Found]:
    each, weight = by_cell(these, values)
    groups = range(len(these.groups))
    total = [(each * weight)[these.group == group].sum(axis=0) for group in groups]
    count = [weight[these.group == group].sum(axis=0) for group in groups]
    rate = np.stack([some / np.maximum(of, 1) for some, of in zip(total, count, strict=True)])
    ways = assignments(these.group, these.stratum, seed=seed)
    ps = [float(p) for p in np.atleast_1d(permuted(spread(each, len(groups), np.sign(weight)), ways).p)]
    qs = benjamini_hochberg(ps)
    for place in range(len(these.cells)):
        here = rate[:, place]
        first, second = max(itertools.combinations(groups, 2), key=lambda two: abs(here[two[1]] - here[two[0]]))
        yield _Found(place, first, second, float(here[second] - here[first]), ps[place], qs[place])


def _of_distance(these: Units, those: Pairs, measure: Measure) -> Iterator[_Found]:
    """Between minus within, for each question and the two groups that are farthest apart."""
    groups = these.group[these.unit]
    ends = groups[those.first], groups[those.second]
    place_of = these.cell[those.first]
    values = those.distances[measure]
    for place in range(len(these.cells)):
        here = (place_of == place) & ~np.isnan(values)
        means = {
            two: float(values[here & (np.minimum(*ends) == two[0]) & (np.maximum(*ends) == two[1])].mean())
            for two in _present(ends[0][here], ends[1][here])
        }
        apart = {two: mean for two, mean in means.items() if two[0] != two[1]}
        inside = [mean for two, mean in means.items() if two[0] == two[1]]
        if apart and inside:
            first, second = max(apart, key=lambda two: apart[two])
            yield _Found(place, first, second, apart[first, second] - sum(inside) / len(inside))


def _gap(model: str, these: Units, measure: Measure, values: Floats | None, found: _Found) -> Gap:
    """What was found, with an answer of each group that shows it."""
    question, context = these.cells[found.place]
    here = these.cell == found.place
    return Gap(
        model=model,
        question=question,
        context=context,
        measure=measure,
        first=these.groups[found.first],
        second=these.groups[found.second],
        gap=rounded(found.gap) or 0.0,
        p=rounded(found.p),
        q=rounded(found.q),
        family=len(these.cells),
        first_execution=_example(these, here, found.first, values, wanted=float(found.gap < 0)),
        second_execution=_example(these, here, found.second, values, wanted=float(found.gap > 0)),
    )


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
