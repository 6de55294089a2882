"""Quantiles in bounded memory, held against all the values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.timings.spread import EXACT, Source, Spread, assumed, measured

VALUES = st.lists(st.floats(0, 1e5), min_size=1, max_size=50)


def spread(values: list[float]) -> Spread:
    """Of these values."""
    found = Spread()
    for value in values:
        found.add(value)
    return found


@given(values=VALUES)
def test_few_are_exact(values: list[float]) -> None:
    """Of few values the ends are values, and every quantile lies between them in order."""
    found = spread(values)
    assert (found.quantile(0.0), found.quantile(1.0)) == (min(values), max(values))
    quantiles = found.quantiles([0.0, 0.25, 0.5, 0.95, 1.0])
    assert quantiles == sorted(quantiles)
    assert found.mean == pytest.approx(sum(values) / len(values))


@given(values=VALUES, times=st.integers(EXACT // 10, EXACT // 5))
def test_many_are_near(values: list[float], times: int) -> None:
    """Of many values a quantile is one of them to a per cent, and memory holds bins alone."""
    many = values * max(times, EXACT // len(values) + 1)
    found = spread(many)
    assert len(found._values) == 0
    for share in (0.05, 0.5, 0.95):
        near = found.quantile(share)
        assert near is not None
        assert any(near == pytest.approx(value, rel=0.011, abs=2e-4) for value in values)


@given(first=VALUES, second=VALUES)
def test_merged_is_added(first: list[float], second: list[float]) -> None:
    """Two merged are the same as one that was given all values."""
    one, whole = spread(first), spread(first + second)
    one.merge(spread(second))
    assert (one.n, one.least, one.most) == (whole.n, whole.least, whole.most)
    assert one.quantile(0.5) == whole.quantile(0.5)
    assert one.count_below(50.0) == sum(value < 50.0 for value in first + second)


def test_merging_many_keeps_no_values() -> None:
    """Merging spreads of many values stays in bounded memory too."""
    one = spread([1.0] * EXACT)
    one.merge(spread([2.0] * EXACT))
    assert (one.n, len(one._values)) == (2 * EXACT, 0)
    assert one.quantile(0.9) == pytest.approx(2.0, rel=0.01)


def test_nothing_has_no_quantile() -> None:
    """Of no values nothing is said, and nothing is measured."""
    assert (Spread().quantile(0.5), Spread().mean, measured(Spread())) == (None, None, None)


def test_distributions_say_where_they_are_from() -> None:
    """What was measured says how many stand behind it, what was assumed that nothing does."""
    found = measured(spread([1.0, 2.0, 3.0]))
    assert found is not None
    assert (found.n, found.source, found.quantile(0.5)) == (3, Source.MEASURED, 2.0)
    assert found.mean == pytest.approx(2.0)
    even = assumed(30.0, 90.0)
    assert (even.n, even.source, even.quantile(0.25), even.mean) == (0, Source.ORIGINAL, 45.0, 60.0)
