"""What lived at once is counted from a ledger's lines alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.ledger import peaks


def up(container: str, region: str) -> dict[str, Any]:
    """A container takes its GPU."""
    return {"event": "container_up", "container": container, "region": region, "pool": f"{region}/m"}


def down(container: str) -> dict[str, Any]:
    """A container gives it back."""
    return {"event": "container_down", "container": container}


def test_containers_count_from_their_start_until_they_are_gone() -> None:
    """The most that lived at once in each region and over all; what went before another came is not with it."""
    records = [up("a", "us"), up("b", "us"), down("a"), up("c", "us"), up("d", "eu"), {"event": "placed"}]
    assert peaks(records) == {"": 3, "us": 2, "eu": 1}
    assert peaks(records, by="pool") == {"": 3, "us/m": 2, "eu/m": 1}


def test_a_new_emulator_begins_with_none() -> None:
    """The containers of an emulator that was killed are not counted with those of its successor."""
    assert peaks([up("a", "us"), {"event": "serving"}, up("a", "us")]) == {"": 1, "us": 1}


def test_an_empty_ledger_has_a_peak_of_none() -> None:
    """No container, no peak."""
    assert peaks([]) == {"": 0}


@given(st.lists(st.sampled_from(["us", "eu", "asia"]), max_size=30))
def test_the_sum_of_regions_that_never_shrink_is_the_whole(regions: list[str]) -> None:
    """With nothing gone, every container counts once in its region and once over all."""
    found = peaks(up(str(number), region) for number, region in enumerate(regions))
    assert found.pop("") == len(regions) == sum(found.values())
