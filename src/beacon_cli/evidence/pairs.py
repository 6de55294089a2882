"""The distances between answers of different containers to the same question, for one model.

Answers from one container are never paired: they share too much. Where there are more pairs than can be measured
in good time, a part is drawn with a seed that knows neither groups nor answers. Must not know what distances mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from beacon_cli.evidence import measures
from beacon_cli.evidence.permutation import Floats, Ints
from beacon_cli.evidence.units import Units
from beacon_cli.model import Measure

MOST = 20_000
"""Pairs that are measured, for each model."""
MOST_COSTLY = 500
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
    """The distances between two units each (`first`, `second`): their sums and how many there are, by measure.

    `sums` and `counts` have a row for each two units and a column for each of `measures`.
    """

    measures: tuple[Measure, ...]
    first: Ints
    second: Ints
    sums: Floats
    counts: Floats


def pairs(these: Units, wanted: Sequence[Measure], seed: int, primary: Measure | None = None) -> Pairs:
    """Pairs of answers to one question from different containers of one stratum: all, or as many as may be."""
    first, second = _candidates(these) if wanted else (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))
    chosen = _drawn(len(first), MOST, seed)
    first, second = first[chosen], second[chosen]
    costly = _drawn(len(first), MOST_PRIMARY if primary is Measure.CHRF else MOST_COSTLY, seed + 1)
    ready = {
        place: measures.ready(these.answers[place].text or "") for place in np.unique([first, second]).tolist()
    }
    ends = [(ready[one], ready[other]) for one, other in zip(first.tolist(), second.tolist(), strict=True)]
    found = {}
    for measure in wanted:
        distance = measures.DISTANCES[measure]
        values = np.full(len(ends), np.nan)
        for place in costly.tolist() if measure is Measure.CHRF else range(len(ends)):
            one, other = ends[place]
            values[place] = 0.0 if one.folded == other.folded else distance(one, other)
        found[measure] = values
    return Pairs(first=first, second=second, distances=found)


def sums(these: Units, those: Pairs, wanted: Sequence[Measure]) -> Sums:
    """The distances by each measure that is wanted, added up for every two units."""
    ends = np.sort(np.stack([these.unit[those.first], these.unit[those.second]]), axis=0)
    size = max(1, len(these.group))
    keys, place = np.unique(ends[0] * size + ends[1], return_inverse=True)
    columns = [those.distances[measure] for measure in wanted]
    return Sums(
        measures=tuple(wanted),
        first=keys // size,
        second=keys % size,
        sums=np.stack([np.bincount(place, np.nan_to_num(each), len(keys)) for each in columns], axis=1),
        counts=np.stack([np.bincount(place, ~np.isnan(each), len(keys)) for each in columns], axis=1),
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
