"""What became of what was planned, and how the answers read: counts, with their intervals.

Errors are no refusals, and what is empty or broke off is neither. Must not know what is tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from beacon_cli.evidence.answers import Answer, Exclusion, Place, Survivors
from beacon_cli.evidence.effects import rounded
from beacon_cli.evidence.findings import Rate, Rates
from beacon_cli.evidence.readings import Kind
from beacon_cli.evidence.shares import wilson
from beacon_cli.evidence.units import ANSWERED, RATES, indicator
from beacon_cli.model import Measure

GONE = (Exclusion.NO_ANSWER, Exclusion.EMPTY, Exclusion.TRUNCATED, Exclusion.ELSEWHERE)
"""What counts as missing."""


def survivors(group: str, model: str, answers: Sequence[Answer]) -> Survivors:
    """What became of the planned executions of one group and model."""
    own = [answer for answer in answers if answer.group == group]
    lost = Counter(answer.excluded for answer in own)
    gone = sum(lost[why] for why in GONE)
    gave = Counter((a.region, a.container) for a in own if a.excluded is None)
    elsewhere = {_named(a) for a in answers if a.group != group and a.excluded is None and a.run}
    return Survivors(
        group=group,
        model=model,
        planned=len(own),
        compared=lost[None],
        no_answer=lost[Exclusion.NO_ANSWER],
        empty=lost[Exclusion.EMPTY],
        truncated=lost[Exclusion.TRUNCATED],
        elsewhere=lost[Exclusion.ELSEWHERE],
        no_container=lost[Exclusion.NO_CONTAINER],
        not_shared=lost[Exclusion.NOT_SHARED],
        unverified=sum(a.place is Place.UNVERIFIED for a in own if a.excluded is not Exclusion.NO_ANSWER),
        missing=rounded(gone / len(own)) or 0.0 if own else 0.0,
        containers=len(gave),
        effective=rounded(gave.total() ** 2 / sum(n * n for n in gave.values())) or 0.0 if gave else 0.0,
        foreign=len({_named(a) for a in own if a.excluded is None and a.run} & elsewhere),
    )


def _named(answer: Answer) -> tuple[str, str | None]:
    """A container as the platform names it; the same name in two files without runs may be two containers."""
    return answer.run, answer.container


def rates(answers: Sequence[Answer], groups: Sequence[str], models: Sequence[str]) -> Iterator[Rates]:
    """How the answers of each group and model read: over all questions, then by category."""
    parts: dict[tuple[str, str, str | None], list[Answer]] = {}
    for answer in answers:
        parts.setdefault((answer.model, answer.group, None), []).append(answer)
        if answer.category:
            parts.setdefault((answer.model, answer.group, answer.category), []).append(answer)
    categories = sorted({category for _, _, category in parts if category is not None})
    for model in models:
        for group in groups:
            for category in (None, *categories):
                if own := parts.get((model, group, category)):
                    yield _reads(model, group, category, own)


def _reads(model: str, group: str, category: str | None, answers: Sequence[Answer]) -> Rates:
    seen = Counter(answer.kind for answer in answers)
    counted = [answer for answer in answers if answer.kind in ANSWERED and answer.excluded not in GONE]
    return Rates(
        group=group,
        model=model,
        category=category,
        kinds={kind.value: seen[kind] for kind in Kind},
        rates=tuple(_rate(measure, int(indicator(counted, measure).sum()), len(counted)) for measure in RATES),
    )


def _rate(measure: Measure, count: int, of: int) -> Rate:
    if not of:
        return Rate(name=measure, count=0, of=0, share=None, low=None, high=None)
    low, high = wilson(count, of)
    return Rate(name=measure, count=count, of=of, share=rounded(count / of), low=rounded(low), high=rounded(high))
