from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from beacon_cli.evidence.permutation import (
    Floats,
    Ints,
    assignments,
    between_minus_within,
    permuted,
    smallest_p,
    spread,
)


def grouped(*sizes: int) -> Ints:
    """The group of each unit, groups of these sizes one after another."""
    return np.repeat(np.arange(len(sizes)), sizes)


def test_a_worked_example_by_hand() -> None:
    """1, 2 against 3, 4: of the six assignments only this one and its mirror are as far apart."""
    ways = assignments(grouped(2, 2), seed=0)
    found = permuted(spread(np.array([1.0, 2.0, 3.0, 4.0]), 2), ways)
    assert (ways.count, ways.exact) == (6, True)
    assert found.p == pytest.approx(2 / 6)
    assert found.statistic == pytest.approx(4.0)  # 2 * 1**2 + 2 * 1**2


@pytest.mark.parametrize("seed", range(5))
def test_two_groups_agree_with_scipy(seed: int) -> None:
    """The exact p is SciPy's for the two-sided difference of means."""
    values = np.random.default_rng(seed).random(10)
    ours = permuted(spread(values, 2), assignments(grouped(5, 5), seed=0))

    def gap(first: Floats, second: Floats, axis: int) -> Floats:
        return np.asarray(np.abs(first.mean(axis=axis) - second.mean(axis=axis)))

    theirs = stats.permutation_test(
        (values[:5], values[5:]), gap, alternative="greater", n_resamples=np.inf, vectorized=True
    )
    assert ours.p == pytest.approx(theirs.pvalue)


def test_three_groups_agree_with_scipy() -> None:
    """The exact omnibus p is SciPy's for the F statistic, which orders assignments alike."""
    values = np.random.default_rng(3).random(9)
    ours = permuted(spread(values, 3), assignments(grouped(3, 3, 3), seed=0))

    def between(*samples: Floats, axis: int) -> Floats:
        return np.asarray(stats.f_oneway(*samples, axis=axis).statistic)

    theirs = stats.permutation_test(
        np.split(values, 3), between, alternative="greater", n_resamples=np.inf, vectorized=True
    )
    assert ours.p == pytest.approx(theirs.pvalue)


def test_drawn_assignments_come_near_the_exact_ones() -> None:
    """With 9,999 draws p is within three standard errors of the exact one, and (1 + k) / (1 + B)."""
    values = np.random.default_rng(5).random(12)
    exact = float(permuted(spread(values, 2), assignments(grouped(6, 6), seed=0)).p)
    ways = assignments(grouped(6, 6), seed=1, exact=0)
    drawn = float(permuted(spread(values, 2), ways).p)
    assert (ways.count, ways.exact) == (9_999, False)
    assert abs(drawn - exact) < 3 * math.sqrt(exact * (1 - exact) / ways.count) + 1e-4
    assert drawn * 10_000 == pytest.approx(round(drawn * 10_000))
    assert drawn >= 1 / 10_000


def test_the_same_seed_draws_the_same() -> None:
    """The draws depend on the seed alone."""
    first, again, other = (assignments(grouped(20, 20), seed=seed).rows for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("sizes", "least"),
    [([3, 3], 0.1), ([4, 4], 2 / 70), ([5, 5], 2 / 252), ([3, 4], 1 / 35), ([4, 4, 4], 6 / 34_650)],
)
def test_the_smallest_p_is_that_of_so_few_containers(sizes: list[int], least: float) -> None:
    """2 / C(2K, K) for two groups of K; the most extreme sample reaches it and no more."""
    assert smallest_p(sizes) == pytest.approx(least)
    apart = np.repeat(np.arange(len(sizes)) * 10.0, sizes)
    assert permuted(spread(apart, len(sizes)), assignments(grouped(*sizes), seed=0)).p == pytest.approx(least)


def test_strata_keep_their_units() -> None:
    """Units change groups only within their stratum: two strata of 2 + 2 make 6 * 6 assignments."""
    group = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    stratum = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    for ways in (assignments(group, stratum, seed=0), assignments(group, stratum, seed=0, exact=0, draws=50)):
        assert (ways.rows[:, :4].sum(axis=1) == 2).all()
        assert (ways.rows[:, 4:].sum(axis=1) == 2).all()
    assert assignments(group, stratum, seed=0).count == 36


def test_between_minus_within_by_hand() -> None:
    """Units a, b against c, d: distances 1 within, 3 between; the statistic is 2."""
    first, second = (np.array(side) for side in zip(*itertools.combinations(range(4), 2), strict=True))
    sums = np.where((first < 2) == (second < 2), 1.0, 3.0)
    found = permuted(
        between_minus_within(first, second, sums, np.ones(6)), assignments(np.array([0, 0, 1, 1]), seed=0)
    )
    assert found.statistic == pytest.approx(2.0)
    assert found.p == pytest.approx(2 / 6)


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(2, 6))
def test_p_is_a_share_and_never_zero(values: list[int], first: int) -> None:
    """Whatever the values, ties among them: 0 < p <= 1, and p is 1 where nothing varies."""
    group = grouped(first, 8 - first)
    p = float(permuted(spread(np.array(values, dtype=np.float64), 2), assignments(group, seed=0)).p)
    assert 0 < p <= 1
    assert len(set(values)) > 1 or p == 1


def test_several_questions_at_once_are_as_one_by_one() -> None:
    """A column for each question gives what each gives alone; a weight 0 leaves a value out."""
    rng = np.random.default_rng(8)
    values, ways = rng.random((8, 3)), assignments(grouped(4, 4), seed=0)
    together = permuted(spread(values, 2), ways).p
    assert together == pytest.approx([float(permuted(spread(values[:, n], 2), ways).p) for n in range(3)])
    weights = np.ones((8, 3))
    weights[0] = 0
    moved = values.copy()
    moved[0] = 99
    assert permuted(spread(values, 2, weights), ways).p == pytest.approx(
        permuted(spread(moved, 2, weights), ways).p
    )


def test_very_many_groups_have_a_smallest_p_above_nothing() -> None:
    """A hundred regions have more assignments than a float can count, and still no p of 0."""
    assert 0 < smallest_p([4] * 120) < 1e-300


def test_the_smallest_p_within_strata() -> None:
    """Two runs with one container in each of four regions have 16 assignments, of which two are as extreme."""
    assert smallest_p([1, 1], [1, 1], [1, 1], [1, 1]) == pytest.approx(2 / 16)
    assert smallest_p([1, 2], [2, 1]) == pytest.approx(1 / 9)
