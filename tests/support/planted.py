"""Answers with a known truth planted in them, for the statistics to find or to leave alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

from beacon_cli.evidence.answers import Answer, Exclusion, Place
from beacon_cli.evidence.design import design
from beacon_cli.evidence.effects import Ask, effect
from beacon_cli.evidence.findings import Attribution, Axis, Design, Effect, Outcome, Parity, Role
from beacon_cli.evidence.pairs import pairs
from beacon_cli.evidence.readings import Kind
from beacon_cli.evidence.tallies import survivors
from beacon_cli.evidence.units import units
from beacon_cli.evidence.verdicts import Case, verdict
from beacon_cli.model import Analysis, Measure

GROUPS = ("us", "eu", "asia")
Container: TypeAlias = Callable[[str, int, int], str]
"""From group, start and question to the container's name."""


def whole(group: str, start: int, _question: int) -> str:
    """Containers as they were: all answers of one start in a group."""
    return f"{group}-{start}"


def naive(group: str, start: int, question: int) -> str:
    """What permuting answers amounts to: every answer a container of its own."""
    return f"{group}-{start}-{question}"


def answer(**values: Any) -> Answer:
    """An answer that takes part in the tests; `values` say what is different about it."""
    return msgspec.convert(
        {
            "execution": "x",
            "run": "run",
            "group": "us",
            "region": values.get("group", "us"),
            "model": "m",
            "question": "q",
            "context": None,
            "repeat": 1,
            "category": "",
            "kind": Kind.SUBSTANTIVE,
            "language": "en",
            "because": "",
            "text": "An answer.",
            "error": None,
            "region_reported": None,
            "cloud": None,
            "place": Place.CONFIRMED,
            "container": "c",
            "cold": True,
            "call_id": None,
            "attempts": 1,
            "started_at": None,
            "finished_at": None,
            "seconds": 1.0,
            "finish_reason": "stop",
            "tokens": 3,
            "provenance": {"revision": "r", "image": "i", "gpu": "T4"},
            "excluded": None,
            **values,
        },
        Answer,
    )


class Planted:
    """Sets of answers of `groups`, `starts` containers each, over `prompts` questions.

    A question's rate of refusals is drawn around `base` (logit sd 1); the last group's is `gap` higher; a
    container moves all its answers by a draw of `container_sd` on the logit scale.
    """

    def __init__(
        self,
        *,
        prompts: int = 100,
        starts: int = 5,
        groups: int = 2,
        base: float = 0.1,
        gap: float = 0.0,
        container_sd: float = 0.0,
    ) -> None:
        self.base = base
        self.prompts, self.starts, self.gap, self.container_sd = prompts, starts, gap, container_sd
        self.groups = GROUPS[:groups]
        self.cases = [
            (group, start, q) for group in self.groups for start in range(starts) for q in range(prompts)
        ]

    def pool(self, container: Container) -> tuple[list[Answer], list[Answer]]:
        """For each case the answer that does not refuse, and the one that does."""
        plain = [
            answer(
                execution=f"{group}{start}{q}",
                group=group,
                question=f"q{q:03}",
                repeat=start + 1,
                container=container(group, start, q),
            )
            for group, start, q in self.cases
        ]
        return plain, [msgspec.structs.replace(each, kind=Kind.HARD_REFUSAL) for each in plain]

    def draw(self, rng: np.random.Generator) -> tuple[Sequence[bool], float]:
        """Which cases refuse, and the true gap between the last group and the first."""
        base = 1 / (1 + np.exp(np.log(1 / self.base - 1) - rng.standard_normal(self.prompts)))
        rates = np.stack([base] * (len(self.groups) - 1) + [np.clip(base + self.gap, 0.001, 0.999)])
        logits = np.log(rates / (1 - rates))
        moved = self.container_sd * rng.standard_normal((len(self.groups), self.starts))
        chance = 1 / (1 + np.exp(-(logits[:, None, :] + moved[:, :, None])))
        points, weights = np.polynomial.hermite_e.hermegauss(21)
        mean = (1 / (1 + np.exp(-(logits[..., None] + self.container_sd * points)))) @ weights / weights.sum()
        refused: list[bool] = (rng.random(chance.shape) < chance).ravel().tolist()
        return refused, float((mean[-1] - mean[0]).mean())


def chosen(pool: tuple[list[Answer], list[Answer]], refused: Iterable[bool]) -> list[Answer]:
    """The answers of one set."""
    return [pool[is_refusal][place] for place, is_refusal in enumerate(refused)]


def figures(
    answers: list[Answer], groups: tuple[str, ...], prompts: int, measure: Measure = Measure.REFUSALS
) -> Effect:
    """The test of a set by itself, corrected for nothing."""
    these = units(answers, groups)
    ask = Ask(model="m", measure=measure, role=Role.SECONDARY, planned=prompts, alpha=0.05, seed=7)
    found = effect(ask, these, pairs(these, [] if measure is Measure.REFUSALS else [measure], 7))
    return msgspec.structs.replace(found, p_adjusted=found.p)


def judged(answers: list[Answer], found: Effect, plan: Design | None = None) -> Outcome:
    """The verdict on a set, as a report would give it."""
    case = Case(
        model="m",
        axis=Axis.REGION,
        design=plan or design(None, None, analysis=Analysis()),
        primary=found,
        pairs=(),
        survivors=tuple(survivors(group, "m", answers) for group in found.groups),
        parity=Parity(
            model="m", attribution=Attribution.REGION, differs=(), unknown=(), words="regional difference"
        ),
        rehearsal=False,
    )
    return verdict(case).outcome


def lost(answers: list[Answer], group: str, count: int, why: Exclusion = Exclusion.NO_ANSWER) -> list[Answer]:
    """The answers, of which `count` of `group` did not survive."""
    places = [place for place, each in enumerate(answers) if each.group == group][:count]
    gone = set(places)
    return [
        msgspec.structs.replace(each, excluded=why) if place in gone else each
        for place, each in enumerate(answers)
    ]
