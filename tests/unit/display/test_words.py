"""Times as they are said."""

from __future__ import annotations

import pytest

from beacon_cli.display.words import clock, precise


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1.0, "0:00"), (7.9, "0:07"), (1799.9, "29:59"), (1800.0 - 2e-10, "30:00"), (3723.0, "1:02:03")],
)
def test_a_clock_leaves_parts_of_a_second_out(seconds: float, said: str) -> None:
    """What floats lose in being added up is no part of a second: the same sum reads the same on every Python."""
    assert clock(seconds) == said
    assert seconds < 60 or precise(seconds) == said
