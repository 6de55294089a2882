"""How much a model's answers vary where nothing differs, and how far groups agree: what every gap is held against.

TARr@N and TARa@N are the total agreement rates of arXiv:2408.04667: over N answers to one question, the share of
questions with N times the same text, and N times the same reading. Must not know whether a gap is large.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from beacon_cli.evidence.answers import Answer
from beacon_cli.evidence.effects import rounded
from beacon_cli.evidence.findings import Agreement, Distance, NoiseFloor
from beacon_cli.evidence.pairs import Pairs
from beacon_cli.evidence.permutation import Bools
from beacon_cli.evidence.units import Units, cell

FEWEST = 2
"""Answers to one question, below which nothing can agree."""


def noise(model: str, these: Units, those: Pairs) -> list[NoiseFloor]:
    """The noise floor of each group, and of all together (first)."""
    return [
        _floor(model, these, those, None),
        *(_floor(model, these, those, number) for number in range(len(these.groups))),
    ]


def agreement(model: str, these: Units, those: Pairs) -> list[Agreement]:
    """How far every two groups agree, by every measure; each with itself first: that is its noise."""
    first, second = (these.group[these.unit[places]] for places in (those.first, those.second))
    low, high = np.minimum(first, second), np.maximum(first, second)
    found = []
    for measure in those.distances:
        for one, other in itertools.combinations_with_replacement(range(len(these.groups)), 2):
            mean = _mean(those, measure, (low == one) & (high == other))
            found.append(
                Agreement(
                    model=model,
                    measure=measure,
                    first=these.groups[one],
                    second=these.groups[other],
                    agreement=None if mean.mean is None else rounded(1 - mean.mean),
                    pairs=mean.pairs,
                )
            )
    return found


def _floor(model: str, these: Units, those: Pairs, group: int | None) -> NoiseFloor:
    """Total agreement is counted within each group: the same question to two groups is two questions here."""
    name = None if group is None else these.groups[group]
    asked: dict[tuple[object, ...], list[Answer]] = {}
    for answer in these.answers:
        if name in {None, answer.group}:
            asked.setdefault((answer.group, *cell(answer)), []).append(answer)
    often = max((len(answers) for answers in asked.values()), default=0)
    full = [
        sorted(answers, key=lambda a: (a.repeat, a.region)) for answers in asked.values() if len(answers) == often
    ]
    first, second = (these.group[these.unit[places]] for places in (those.first, those.second))
    inside = (first == second) & ((first == group) if group is not None else True)
    told = often >= FEWEST and bool(full)
    return NoiseFloor(
        model=model,
        group=name,
        repeats=often,
        questions=len(full),
        tar_raw=_share([{answer.text for answer in answers} for answers in full]) if told else None,
        tar_answer=_share([{answer.kind for answer in answers} for answers in full]) if told else None,
        within=tuple(_mean(those, measure, inside) for measure in those.distances),
    )


def _share(sets: Sequence[set[object]]) -> float | None:
    return rounded(sum(len(each) == 1 for each in sets) / len(sets))


def _mean(those: Pairs, measure: str, chosen: Bools) -> Distance:
    values = next(found for name, found in those.distances.items() if name == measure)[chosen]
    known = values[~np.isnan(values)]
    return Distance(measure=measure, mean=rounded(float(known.mean())) if len(known) else None, pairs=len(known))
