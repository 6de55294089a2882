from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import planted
from tests.support.planted import Planted
from tests.support.stories import job

from beacon_cli.evidence.answers import Exclusion
from beacon_cli.evidence.design import design
from beacon_cli.evidence.findings import Outcome
from beacon_cli.evidence.registration import design_hash
from beacon_cli.evidence.units import RATES, indicator, means, units
from beacon_cli.evidence.verdicts import outcome, points, probability
from beacon_cli.model import Analysis, Context, DesignRule, Measure, Sampling


@pytest.mark.parametrize(
    ("p", "bounds", "expected"),
    [
        (0.05, [(-0.2, 0.2)], Outcome.DIFFERENCE),
        (0.05, [(0.01, 0.04)], Outcome.DIFFERENCE),
        (0.051, [(-0.09, 0.09)], Outcome.NO_DIFFERENCE),
        (0.051, [(-0.09, 0.1)], Outcome.INCONCLUSIVE),
        (0.9, [(-0.09, 0.09), (-0.11, 0.02)], Outcome.INCONCLUSIVE),
        (0.9, [(-0.09, 0.09), None], Outcome.INCONCLUSIVE),
        (0.9, [], Outcome.INCONCLUSIVE),
        (None, [(-0.01, 0.01)], Outcome.NO_DIFFERENCE),
        (None, [None], Outcome.INCONCLUSIVE),
    ],
)
def test_test_and_intervals_give_one_of_three(
    p: float | None, bounds: list[tuple[float, float] | None], expected: Outcome
) -> None:
    """A p at alpha is a difference; without one, every interval has to lie within the gap that matters."""
    assert outcome(p, bounds, 0.05, 0.1) is expected


@pytest.mark.parametrize(("lost", "expected"), [(5, Outcome.DIFFERENCE), (6, Outcome.INCONCLUSIVE)])
@pytest.mark.parametrize("why", [Exclusion.NO_ANSWER, Exclusion.EMPTY, Exclusion.TRUNCATED, Exclusion.ELSEWHERE])
def test_five_percent_may_be_missing_and_no_more(why: Exclusion, lost: int, expected: Outcome) -> None:
    """5 of 100 planned answers may be lost in a region; the sixth makes every verdict inconclusive."""
    truth = Planted(prompts=20, starts=5)
    plain, refused = truth.pool(planted.whole)
    answers = planted.lost([*plain[:100], *refused[100:]], "us", lost, why)
    found = planted.figures([each for each in answers if each.excluded is None], truth.groups, truth.prompts)
    assert planted.judged(answers, found) is expected


@pytest.mark.parametrize(
    "values",
    [
        {"analysis": Analysis(alpha=0.01)},
        {"analysis": Analysis(primary=Measure.CHRF)},
        {"design": DesignRule(container_starts=4)},
        {"contexts": (Context(id="c", system_prompt="Be brief."),)},
        {"questions": 9},
        {"starts": 5},
        {"sampling": Sampling(temperature=0.5)},
    ],
)
def test_whatever_shapes_the_test_changes_the_hash(values: dict[str, Any]) -> None:
    """Another analysis, design, context, question, repeat or sampling is another design; mere words are not."""
    assert design_hash(job(**values)) != design_hash(job())
    assert design_hash(job(description="other words")) == design_hash(job())


def test_defaults_and_their_declaration_are_one_design() -> None:
    """A job that leaves the analysis to the defaults has the hash of one that spells them out."""
    silent, spoken = job(analysis=None), job(analysis=Analysis())
    assert design_hash(silent) == design_hash(spoken)
    assert (design(silent, None).declared, design(spoken, None).declared) == (False, True)
    assert design(silent, design_hash(silent)).registered


def test_container_means_are_plain_where_all_answered_all() -> None:
    """With every question answered by every container, its mean is the mean of its answers."""
    truth = Planted(prompts=6, starts=3)
    plain, refused = truth.pool(planted.whole)
    answers = planted.chosen((plain, refused), [n % 5 == 0 for n in range(36)])
    these = units(answers, truth.groups)
    plainly = [
        sum(each.kind in RATES[Measure.REFUSALS] for each in answers if (each.group, each.container) == unit) / 6
        for unit in sorted(
            {(a.group, a.container) for a in answers}, key=lambda u: (truth.groups.index(u[0]), u[1])
        )
    ]
    assert means(these, indicator(these.answers, Measure.REFUSALS)).tolist() == pytest.approx(plainly)


def test_which_questions_a_container_got_is_no_effect() -> None:
    """Where one region lost its hard questions' answers and the other its easy ones', nothing differs."""
    truth = Planted(prompts=20, starts=4)
    plain, refused = truth.pool(planted.whole)
    hard = [int(each.question[1:]) < 10 for each in plain]
    kept = [
        each
        for each in planted.chosen((plain, refused), hard)
        if not (each.group == "us" and each.question == "q000" and each.repeat > 1)
        and not (each.group == "eu" and each.question == "q019" and each.repeat > 1)
    ]
    assert planted.figures(kept, truth.groups, 20).gap == pytest.approx(0, abs=1e-9)


@given(st.floats(0, 1))
def test_a_p_value_is_never_printed_as_zero(p: float) -> None:
    """However small p is, what is printed is no 0."""
    assert probability(p) != "0.000"
    assert points(p).endswith(" points")


def test_records_are_json() -> None:
    """Everything that a report holds survives JSON and back."""
    found = planted.figures(Planted(prompts=4, starts=4).pool(planted.whole)[0], ("us", "eu"), 4)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
