"""How often a ticket asks whether its turn has come."""

from __future__ import annotations

import pytest

from beacon_cli.turns.waiting import SELDOMEST_POLL, poll

FIRST = 0.05


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_whoever_may_be_served_next_asks_often(at_once: int) -> None:
    """As many as a region serves at once ask twenty times a second, and the next ones less often."""
    assert {poll(position, FIRST, at_once) for position in range(1, at_once + 1)} == {FIRST}
    assert poll(at_once + 1, FIRST, at_once) > FIRST


def test_a_crowd_asks_as_seldom_as_a_few() -> None:
    """Fifty that wait ask less than forty times a second together, and nobody less than each few seconds."""
    pauses = [poll(position, FIRST) for position in range(1, 51)]
    assert pauses == sorted(pauses)
    assert max(pauses) == SELDOMEST_POLL
    assert sum(1 / pause for pause in pauses) < 40
