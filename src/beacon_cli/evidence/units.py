"""One model's answers as arrays: which container gave which answer to which question, and the containers' means.

A unit is a container start in one group. Must not know which test they are for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import msgspec
import numpy as np

from beacon_cli.evidence.answers import Answer, Exclusion
from beacon_cli.evidence.permutation import Floats, Ints
from beacon_cli.evidence.readings import Kind
from beacon_cli.model import Measure

Cell: TypeAlias = tuple[str, str | None]
"""A question in a context."""

RATES: Mapping[Measure, frozenset[Kind]] = MappingProxyType(
    {
        Measure.REFUSALS: frozenset({Kind.HARD_REFUSAL, Kind.SOFT_REFUSAL}),
        Measure.HARD_REFUSALS: frozenset({Kind.HARD_REFUSAL}),
        Measure.SOFT_REFUSALS: frozenset({Kind.SOFT_REFUSAL}),
        Measure.PARTIAL: frozenset({Kind.PARTIAL}),
        Measure.SUBSTANTIVE: frozenset({Kind.SUBSTANTIVE}),
    }
)
"""Which readings each rate counts, in the order of reports."""

ANSWERED = frozenset({Kind.SUBSTANTIVE, Kind.PARTIAL, Kind.HARD_REFUSAL, Kind.SOFT_REFUSAL})
"""The readings that a rate is a share of: errors are no refusals, and what is empty or broke off is neither."""


class Units(msgspec.Struct, frozen=True, kw_only=True):
    """Answers and the containers that gave them.

    `unit` and `cell` are over answers, `group` and `stratum` over units. `stratum` is the region where runs are
    compared, for containers of one region say nothing of another; else all units are in one.
    """

    groups: tuple[str, ...]
    cells: tuple[Cell, ...]
    answers: tuple[Answer, ...]
    unit: Ints
    cell: Ints
    group: Ints
    stratum: Ints

    @property
    def sizes(self) -> list[int]:
        """The number of containers in each group."""
        return [int(size) for size in np.bincount(self.group, minlength=len(self.groups))]


def units(answers: Sequence[Answer], groups: tuple[str, ...], *, by_region: bool = False) -> Units:
    """The units behind `answers`, which are all of one model, have containers, and belong to one of `groups`."""
    names = sorted({(groups.index(a.group), a.region, a.container or "") for a in answers})
    cells = sorted({cell(answer) for answer in answers}, key=_order)
    number = {name: index for index, name in enumerate(names)}
    place = {name: index for index, name in enumerate(cells)}
    regions = sorted({region for _, region, _ in names})
    return Units(
        groups=groups,
        cells=tuple(cells),
        answers=tuple(answers),
        unit=_ints(number[groups.index(a.group), a.region, a.container or ""] for a in answers),
        cell=_ints(place[cell(answer)] for answer in answers),
        group=_ints(group for group, _, _ in names),
        stratum=_ints(regions.index(region) if by_region else 0 for _, region, _ in names),
    )


def cell(answer: Answer) -> Cell:
    """The question in its context."""
    return answer.question, answer.context


def indicator(answers: Sequence[Answer], measure: Measure) -> Floats:
    """1 for each answer that reads as `measure` counts, else 0."""
    counted = RATES[measure]
    return np.array([answer.kind in counted for answer in answers], dtype=np.float64)


def means(these: Units, values: Floats) -> Floats:
    """Each container's mean, adjusted for the questions that it happened to get.

    The mean of what its answers are above those questions' means over all containers (of its stratum), plus the
    mean of all: where every container answered every question equally often, simply its mean. The adjustment
    knows no groups, so that it cannot favour one.
    """
    if not len(values):
        return np.zeros(0)
    stratum = these.stratum[these.unit]
    key = these.cell * (int(stratum.max()) + 1) + stratum
    expected = np.bincount(key, values) / np.maximum(np.bincount(key), 1)
    above = np.bincount(these.unit, values - expected[key], minlength=len(these.group))
    each: Floats = above / np.bincount(these.unit, minlength=len(these.group)) + values.mean()
    return each


def by_cell(these: Units, values: Floats) -> tuple[Floats, Floats]:
    """Each container's mean for each question (units x cells), and how many answers it has there (0: none)."""
    shape = (len(these.group), len(these.cells))
    flat = these.unit * shape[1] + these.cell
    count = np.bincount(flat, minlength=shape[0] * shape[1]).astype(np.float64)
    total = np.bincount(flat, values, minlength=shape[0] * shape[1])
    return (total / np.maximum(count, 1)).reshape(shape), count.reshape(shape)


def shared(answers: Sequence[Answer], groups: Collection[str]) -> list[Answer]:
    """The answers, with those excluded whose question not every group answered."""
    answered: dict[str, set[Cell]] = {group: set() for group in groups}
    for answer in answers:
        if answer.excluded is None and answer.group in answered:
            answered[answer.group].add(cell(answer))
    common = set.intersection(*answered.values()) if answered else set()
    return [_not_shared(answer) if cell(answer) not in common else answer for answer in answers]


def paired(answers: Sequence[Answer]) -> list[Answer]:
    """The answers of two runs, with those excluded whose very cell (repeat and region too) is not in both."""
    usable: dict[str, set[tuple[object, ...]]] = {}
    for answer in answers:
        if answer.excluded is None:
            usable.setdefault(answer.group, set()).add(_pair(answer))
    both = set.intersection(*usable.values()) if len(usable) > 1 else set()
    return [_not_shared(answer) if _pair(answer) not in both else answer for answer in answers]


def _pair(answer: Answer) -> tuple[object, ...]:
    return answer.region, answer.model, answer.question, answer.context, answer.repeat


def _not_shared(answer: Answer) -> Answer:
    if answer.excluded is not None:
        return answer
    return msgspec.structs.replace(answer, excluded=Exclusion.NOT_SHARED)


def _order(cell: Cell) -> tuple[str, str]:
    return cell[0], cell[1] or ""


def _ints(values: object) -> Ints:
    return np.fromiter(values, dtype=np.intp)  # type: ignore[call-overload, no-any-return]
