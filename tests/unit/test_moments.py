"""Points in time as records have them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beacon_cli.moments import utc


@given(st.floats(-6e10, 2.5e11))
@example(0.0)
@example(-0.0004)
@example(-1e-9)
@example(1.9999999)
@example(1_699_999_999.9996)
@example(253_402_300_799.0)
def test_a_point_in_time_is_written_as_the_calendar_has_it(at: float) -> None:
    """Every second from the year 69 to 9892, to the millisecond below, reads as `datetime` says."""
    expected = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    assert utc(at) == expected.replace("+00:00", "Z")


@pytest.mark.parametrize("at", [1e300, -1e300, float("inf"), float("nan")])
def test_what_is_no_point_in_time_is_refused(at: float) -> None:
    """A time that no calendar has is an error and no text."""
    with pytest.raises((ValueError, OverflowError, OSError)):
        utc(at)
