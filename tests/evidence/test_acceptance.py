"""The figures that the method promises, by simulation with a known truth.

A reduced count in the normal run; the full one, whose table stands in docs/method.md, by

    BEACON_EVIDENCE=full pytest tests/evidence/test_acceptance.py -s
"""

from __future__ import annotations

import math
import os
import sys
from functools import partial

import msgspec
import numpy as np
import pytest
from tests.support import planted
from tests.support.planted import Container, Planted

from beacon_cli.evidence import effects
from beacon_cli.evidence.findings import Outcome
from beacon_cli.evidence.permutation import assignments
from beacon_cli.model import Measure

FULL = os.environ.get("BEACON_EVIDENCE") == "full"
SETS = 1_000 if FULL else 300
NAIVE_SETS = 300 if FULL else 60
pytestmark = pytest.mark.timeout(3_600 if FULL else 120)


def simulated(truth: Planted, container: Container, sets: int) -> tuple[dict[Outcome, float], float, float]:
    """The shares of verdicts, of p at or below .05, and of intervals that hold the truth."""
    rng = np.random.default_rng(20_251)
    pool = truth.pool(container)
    verdicts = dict.fromkeys(Outcome, 0)
    significant = covered = 0
    for _ in range(sets):
        refused, true_gap = truth.draw(rng)
        answers = planted.chosen(pool, refused)
        found = planted.figures(answers, truth.groups, truth.prompts)
        verdicts[planted.judged(answers, found)] += 1
        significant += found.p is not None and found.p <= 0.05
        covered += found.low is not None and found.high is not None and found.low <= true_gap <= found.high
    shares = {outcome: count / sets for outcome, count in verdicts.items()}
    planted_here = {name: value for name, value in vars(truth).items() if name != "cases"}
    sys.stderr.write(f"\n{container.__name__} {planted_here} {sets} sets: {shares} covered {covered / sets:.3f}\n")
    return shares, significant / sets, covered / sets


def at_most(share: float, sets: int) -> float:
    """`share` and two standard errors: .064 for .05 of 1,000 sets."""
    return share + 2 * math.sqrt(share * (1 - share) / sets)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand units take their time to permute; 299 draws show enough."""
    monkeypatch.setattr(effects, "assignments", partial(assignments, draws=299))


@pytest.mark.parametrize(("base", "container_sd"), [(0.1, 0.0), (0.5, 0.4)])
def test_where_nothing_differs_alarms_are_few(base: float, container_sd: float) -> None:
    """Under the null, with and without containers that differ, at most .05 of the sets (.064 of 1,000) alarm."""
    shares, _, covered = simulated(Planted(base=base, container_sd=container_sd), planted.whole, SETS)
    assert shares[Outcome.DIFFERENCE] <= at_most(0.05, SETS)
    assert covered >= 0.93 - (0 if FULL else 0.03)


@pytest.mark.usefixtures("few_draws")
def test_permuting_answers_would_raise_false_alarms() -> None:
    """The same null fails when each answer is permuted by itself."""
    shares, _, _ = simulated(Planted(base=0.5, container_sd=0.4), planted.naive, NAIVE_SETS)
    assert shares[Outcome.DIFFERENCE] > at_most(0.05, NAIVE_SETS)


def test_a_gap_of_ten_points_is_found() -> None:
    """At 100 prompts and 5 starts power is .90 or more, and 93 to 97 % of the intervals hold the truth."""
    shares, significant, covered = simulated(Planted(gap=0.1), planted.whole, SETS)
    slack = 0 if FULL else 0.03
    assert significant >= 0.9 - slack
    assert shares[Outcome.DIFFERENCE] == significant
    assert 0.93 - slack <= covered <= 0.97 + slack


@pytest.mark.usefixtures("few_draws")
def test_intervals_over_answers_would_miss_the_truth() -> None:
    """Where containers differ, intervals by container cover, and those by answer do not."""
    truth = Planted(gap=0.1, container_sd=0.3)
    slack = 0 if FULL else 0.03
    _, _, covered = simulated(truth, planted.whole, SETS)
    assert 0.93 - slack <= covered <= 0.97 + slack
    _, _, naively = simulated(truth, planted.naive, NAIVE_SETS)
    assert naively < 0.93 - slack


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_fewer_than_four_starts_are_inconclusive(starts: int) -> None:
    """However large the gap, fewer than 4 container starts give no verdict, in 200 of 200 sets."""
    sets = 200 if FULL else 30
    shares, _, _ = simulated(Planted(starts=starts, gap=0.4, prompts=40), planted.whole, sets)
    assert shares[Outcome.INCONCLUSIVE] == 1


@pytest.mark.usefixtures("few_draws")
def test_counting_answers_as_starts_would_give_verdicts() -> None:
    """The same three starts give verdicts when answers pass for containers."""
    shares, _, _ = simulated(Planted(starts=3, gap=0.4, prompts=40), planted.naive, 10)
    assert shares[Outcome.INCONCLUSIVE] < 1


def test_a_container_artefact_is_no_difference() -> None:
    """Containers that differ by a logit sd of .6 give a false difference in at most 8 % of the sets."""
    shares, _, _ = simulated(Planted(base=0.5, container_sd=0.6), planted.whole, SETS)
    assert shares[Outcome.DIFFERENCE] <= 0.08 + (0 if FULL else 0.02)


@pytest.mark.usefixtures("few_draws")
def test_a_container_artefact_would_fool_permuted_answers() -> None:
    """The same artefact alarms far oftener when each answer is permuted by itself."""
    shares, _, _ = simulated(Planted(base=0.5, container_sd=0.6), planted.naive, NAIVE_SETS)
    assert shares[Outcome.DIFFERENCE] > 0.3


def test_three_regions_keep_their_word() -> None:
    """The omnibus test over three regions alarms no more often than it should."""
    shares, _, _ = simulated(Planted(starts=4, groups=3, prompts=50, container_sd=0.3), planted.whole, SETS // 5)
    assert shares[Outcome.DIFFERENCE] <= at_most(0.05, SETS // 5)


@pytest.mark.parametrize(("shift", "container_sd"), [(0.0, 0.5), (2.0, 0.3)])
def test_distances_keep_their_word_too(shift: float, container_sd: float) -> None:
    """Between minus within: few alarms where nothing differs, and the jackknife's intervals are wide enough."""
    sets, truth = SETS // 4, Planted(prompts=50)
    rng, points, weights = np.random.default_rng(1), *np.polynomial.hermite_e.hermegauss(21)
    plain, _ = truth.pool(planted.whole)
    texts = [[msgspec.structs.replace(each, text=text) for each in plain] for text in ("no", "yes")]
    alarms = covered = 0
    for _ in range(sets):
        logits = rng.standard_normal(truth.prompts) + np.array([[0.0], [shift]])
        moved = logits[:, None, :] + container_sd * rng.standard_normal((2, truth.starts, 1))
        said = (rng.random(moved.shape) < 1 / (1 + np.exp(-moved))).ravel().astype(int).tolist()
        one, other = (1 / (1 + np.exp(-(logits[..., None] + container_sd * points)))) @ weights / weights.sum()
        true_gap = float(
            ((one - other) ** 2).mean()
        )  # what two answers differ beyond what answers of one group do
        answers = [texts[word][place] for place, word in enumerate(said)]
        found = planted.figures(answers, truth.groups, truth.prompts, Measure.EXACT_MATCH)
        alarms += found.p is not None and found.p <= 0.05
        covered += found.low is not None and found.high is not None and found.low <= true_gap <= found.high
    assert shift or alarms / sets <= at_most(0.05, sets)
    assert not shift or alarms / sets >= 0.9
    assert covered / sets >= 0.93
