from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from beacon_cli.evidence.corrections import benjamini_hochberg, holm
from beacon_cli.evidence.intervals import inverted, jackknife, newcombe, newcombe_over, welch
from beacon_cli.evidence.shares import wilson


def test_wilson_by_hand() -> None:
    """8 of 10: centre (8 + 1.92) / (10 + 3.84) = .717, half width .227."""
    z = 1.959964
    centre = (8 + z**2 / 2) / (10 + z**2)
    half = z * math.sqrt(10) / (10 + z**2) * math.sqrt(0.8 * 0.2 + z**2 / 40)
    assert wilson(8, 10) == pytest.approx((centre - half, centre + half), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_wilson_agrees_with_statsmodels(counted: tuple[int, int]) -> None:
    """The interval is that of an independent implementation, and lies within 0 and 1."""
    low, high = wilson(*counted)
    assert (low, high) == pytest.approx(proportion_confint(*counted, method="wilson"), abs=1e-9)
    assert 0 <= low <= counted[0] / counted[1] + 1e-12
    assert counted[0] / counted[1] - 1e-12 <= high <= 1


@pytest.mark.parametrize("seed", range(5))
def test_welch_agrees_with_scipy_and_statsmodels(seed: int) -> None:
    """One stratum is Welch's t interval."""
    rng = np.random.default_rng(seed)
    first, second = rng.random(5), rng.random(7) * 2
    ours = welch([(first, second)])
    theirs = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert ours == pytest.approx((theirs.low, theirs.high))
    others = CompareMeans(DescrStatsW(second), DescrStatsW(first)).tconfint_diff(usevar="unequal")
    assert ours == pytest.approx(others)


def test_welch_by_hand() -> None:
    """1, 3 against 4, 6: gap 3, variance 2/2 + 2/2 = 2, 2 degrees of freedom, t = 4.303."""
    assert welch([(np.array([1.0, 3.0]), np.array([4.0, 6.0]))]) == pytest.approx(
        (3 - 4.302653 * math.sqrt(2), 3 + 4.302653 * math.sqrt(2)), abs=1e-5
    )


def test_strata_are_averaged() -> None:
    """Two strata with gaps 1 and 3 have the gap 2 between them, whatever the strata's own levels."""
    low = (np.array([0.0, 0.2]), np.array([1.0, 1.2]))
    high = (np.array([10.0, 10.2]), np.array([13.0, 13.2]))
    bounds = welch([low, high])
    assert bounds is not None
    assert sum(bounds) / 2 == pytest.approx(2.0)


@pytest.mark.parametrize(("first", "second"), [([1.0], [2.0, 3.0]), ([1.0, 1.0], [2.0, 2.0]), ([], [])])
def test_welch_needs_spread(first: list[float], second: list[float]) -> None:
    """Without two values in each, or without any spread, there is no interval."""
    assert welch([(np.array(first), np.array(second))]) is None


@pytest.mark.parametrize(("first", "second"), [((0, 50), (0, 50)), ((3, 40), (9, 38)), ((20, 20), (1, 30))])
def test_newcombe_agrees_with_statsmodels(first: tuple[int, int], second: tuple[int, int]) -> None:
    """The interval for second minus first is that of an independent implementation."""
    theirs = confint_proportions_2indep(*second, *first, method="newcomb", compare="diff")
    assert newcombe(first, second) == pytest.approx(theirs, abs=1e-9)


def test_the_jackknife_of_means_is_their_standard_error() -> None:
    """For a difference of means the jackknife's variance is s1^2 / n1 + s2^2 / n2 exactly."""
    rng = np.random.default_rng(1)
    first, second = rng.random(5), rng.random(6)
    without = np.array(
        [second.mean() - np.delete(first, place).mean() for place in range(5)]
        + [np.delete(second, place).mean() - first.mean() for place in range(6)]
    )
    gap = float(second.mean() - first.mean())
    half = stats.t.ppf(0.975, 4) * math.sqrt(first.var(ddof=1) / 5 + second.var(ddof=1) / 6)
    assert jackknife(gap, without, np.repeat([0, 1], [5, 6])) == pytest.approx((gap - half, gap + half))


def test_the_inverted_test_refuses_what_lies_outside() -> None:
    """Shifts just inside the bounds are not refused by SciPy's permutation test, and those just outside are."""
    rng = np.random.default_rng(2)
    first, second = rng.random(5), rng.random(5) + 0.3
    low, high = inverted(first, second, seed=0)

    def p(shift: float) -> float:
        def gap(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
            return np.asarray(np.abs(one.mean(axis=axis) - other.mean(axis=axis)))

        return float(stats.permutation_test((first, second - shift), gap, alternative="greater").pvalue)

    assert p(low - 1e-6) <= 0.05 < p(low + 1e-6)
    assert p(high + 1e-6) <= 0.05 < p(high - 1e-6)
    bounds = welch([(first, second)])
    assert bounds is not None
    assert (low, high) == pytest.approx(bounds, abs=0.1)


def test_three_against_three_refuse_nothing() -> None:
    """With 3 units each no shift can be refused at .05: the interval has no end."""
    assert inverted(np.array([0.0, 0.1, 0.2]), np.array([5.0, 5.1, 5.2]), seed=0) == (-math.inf, math.inf)


def test_holm_by_hand() -> None:
    """.01, .04, .03: three times the least, twice the next, and never less than the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=30))
def test_corrections_agree_with_statsmodels(ps: list[float]) -> None:
    """Holm and Benjamini-Hochberg are those of an independent implementation."""
    from statsmodels.stats.multitest import multipletests

    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])
    assert benjamini_hochberg(ps) == pytest.approx(multipletests(ps, method="fdr_bh")[1])


def test_what_was_not_tested_takes_no_place() -> None:
    """A missing p stays missing and makes the others no worse."""
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert benjamini_hochberg([0.02, None]) == [0.02, None]
    assert holm([]) == []


def test_newcombe_over_strata_adds_distances_as_squares() -> None:
    """One stratum is Newcombe's own interval; of two alike the middle stays, and the reach shrinks by root two."""
    low, high = newcombe((10, 100), (30, 100))
    assert newcombe_over([((10, 100), (30, 100))]) == pytest.approx((low, high))
    reach = (0.2 - low) / math.sqrt(2), (high - 0.2) / math.sqrt(2)
    both = newcombe_over([((10, 100), (30, 100))] * 2)
    assert both == pytest.approx((0.2 - reach[0], 0.2 + reach[1]))
