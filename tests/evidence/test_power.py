from __future__ import annotations

import numpy as np
import pytest
from tests.support import planted
from tests.support.planted import Planted

from beacon_cli.evidence.power import Noise, Size, chance_of, power

OF_A_TENTH = Noise(variance=0.13)
"""What answers vary by where a tenth refuses, over questions that differ: the mean of p (1 - p)."""


@pytest.mark.parametrize(("prompts", "starts"), [(50, 5), (100, 5), (100, 6)])
def test_predicted_power_is_what_answers_show(prompts: int, starts: int) -> None:
    """The prediction is within 6 points of the share found in answers that are drawn one by one."""
    truth, rng = Planted(prompts=prompts, starts=starts, gap=0.1), np.random.default_rng(4)
    pool = truth.pool(planted.whole)
    ps = [planted.figures(planted.chosen(pool, truth.draw(rng)[0]), truth.groups, prompts).p for _ in range(300)]
    found = sum(p is not None and p <= 0.05 for p in ps) / len(ps)
    size = Size(prompts=prompts, starts=starts, groups=2)
    assert chance_of(size, 0.1, level=0.05, noise=OF_A_TENTH) == pytest.approx(found, abs=0.06)


def test_three_starts_can_never_settle_anything() -> None:
    """One wave at 3 containers a region has power 0 whatever the gap, and the sentence says why."""
    found = power(Size(prompts=1_000, starts=3, groups=2), 0.9)
    assert (found.power, found.detectable, found.possible) == (0, None, False)
    assert found.smallest_p == pytest.approx(0.1)
    assert "can never" in found.sentence
    assert "0.100" in found.sentence


def test_more_of_anything_finds_more() -> None:
    """Power grows with questions, starts and the gap, and falls with noise and with the number of tests."""
    size = Size(prompts=50, starts=5, groups=3)
    base = power(size, 0.1, noise=OF_A_TENTH)
    assert power(Size(prompts=100, starts=5, groups=3), 0.1, noise=OF_A_TENTH).power > base.power
    assert power(Size(prompts=50, starts=8, groups=3), 0.1, noise=OF_A_TENTH).power > base.power
    assert power(size, 0.2, noise=OF_A_TENTH).power > base.power
    assert power(size, 0.1, noise=Noise(variance=0.13, container=0.05)).power < base.power
    assert power(size, 0.1, tests=5, noise=OF_A_TENTH).power < base.power


def test_what_is_enough_is_enough_and_no_more() -> None:
    """With the starts or questions that it names, a gap is found in 80 of 100; with one fewer it is not."""
    found = power(Size(prompts=50, starts=5, groups=2), 0.1, noise=OF_A_TENTH)
    assert found.enough_starts is not None
    assert found.enough_prompts is not None
    assert found.detectable is not None

    def reached(prompts: int, starts: int) -> float:
        return chance_of(Size(prompts=prompts, starts=starts, groups=2), 0.1, level=0.05, noise=OF_A_TENTH)

    assert reached(50, found.enough_starts) >= 0.8 > reached(50, found.enough_starts - 1)
    assert reached(found.enough_prompts, 5) >= 0.8
    assert chance_of(found.size, found.detectable, level=0.05, noise=OF_A_TENTH) >= 0.8


def test_too_many_tests_for_so_few_containers() -> None:
    """Where the correction leaves less than the smallest p, the sentence says that nothing can be shown."""
    found = power(Size(prompts=100, starts=4, groups=2), 0.2, tests=2)
    assert not found.possible
    assert "can never show a difference" in found.sentence


def test_one_group_has_nothing_to_compare() -> None:
    """A design with one region has no power at all."""
    assert power(Size(prompts=100, starts=5, groups=1), 0.2).power == 0
