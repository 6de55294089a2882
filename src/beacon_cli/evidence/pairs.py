"""The distances between answers of different containers to the same question, for one model.

Answers from one container are never paired: they share too much. Where there are more pairs than can be measured
in good time, a part is drawn with a seed that knows neither groups nor answers. Must not know what distances mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import numpy as np

from beacon_cli.evidence import measures
from beacon_cli.evidence.permutation import Floats, Ints
from beacon_cli.evidence.units import Units
from beacon_cli.model import Measure

MOST = 20_000
"""Pairs that are measured, for each model."""
MOST_COSTLY = 1_000
"""By chrF, which takes a hundred times as long."""
MOST_PRIMARY = 5_000
"""By chrF where it is the primary measure."""


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of answers (`first`, `second`: their places in the units' answers) with their distances by measure.

    A distance that was not measured is NaN.
    """

    first: Ints
    second: Ints
    distances: dict[Measure, Floats]


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """The distances between two units each (`first`, `second`): their sums and how many there are."""

    first: Ints
    second: Ints
    sums: Floats
    counts: Floats


def pairs(these: Units, primary: Measure, seed: int) -> Pairs:
    """Pairs of answers to one question from different containers of one stratum: all, or as many as may be."""
    first, second = _candidates(these)
    chosen = _drawn(len(first), MOST, seed)
    first, second = first[chosen], second[chosen]
    costly = _drawn(len(first), MOST_PRIMARY if primary is Measure.CHRF else MOST_COSTLY, seed + 1)
    ready = {
        place: measures.ready(these.answers[place].text or "") for place in np.unique([first, second]).tolist()
    }
    found = {measure: np.full(len(first), np.nan) for measure in measures.DISTANCES}
    for measure, distance in measures.DISTANCES.items():
        wanted = costly if measure is Measure.CHRF else range(len(first))
        values = found[measure]
        for place in wanted:
            one, other = ready[int(first[place])], ready[int(second[place])]
            values[place] = 0.0 if one.folded == other.folded else distance(one, other)
    return Pairs(first=first, second=second, distances=found)


def sums(these: Units, those: Pairs, measure: Measure) -> Sums:
    """The distances by `measure`, added up for each pair of units."""
    values = those.distances[measure]
    known = ~np.isnan(values)
    ends = np.sort(np.stack([these.unit[those.first[known]], these.unit[those.second[known]]]), axis=0)
    keys, place = np.unique(ends[0] * len(these.group) + ends[1], return_inverse=True)
    return Sums(
        first=keys // max(1, len(these.group)),
        second=keys % max(1, len(these.group)),
        sums=np.bincount(place, values[known], minlength=len(keys)).astype(np.float64),
        counts=np.bincount(place, minlength=len(keys)).astype(np.float64),
    )


def _candidates(these: Units) -> tuple[Ints, Ints]:
    parts = list(_within_cells(these))
    if not parts:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _within_cells(these: Units) -> Iterator[tuple[Ints, Ints]]:
    order = np.argsort(these.cell, kind="stable")
    borders = np.searchsorted(these.cell[order], np.arange(len(these.cells) + 1))
    for start, end in itertools.pairwise(borders):
        places = order[start:end]
        one, other = np.triu_indices(len(places), 1)
        first, second = places[one], places[other]
        units = these.unit[first], these.unit[second]
        apart = (units[0] != units[1]) & (these.stratum[units[0]] == these.stratum[units[1]])
        yield first[apart], second[apart]


def _drawn(count: int, most: int, seed: int) -> Ints:
    """All places below `count`, or `most` of them, in ascending order."""
    if count <= most:
        return np.arange(count)
    keys = np.random.PCG64(seed).random_raw(count)
    return np.sort(np.argsort(keys, kind="stable")[:most])
