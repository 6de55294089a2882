"""What answers say of themselves, held against every value that JSON can carry."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.claims import provenances

from beacon_cli.model import Succeeded
from beacon_cli.timings.claims import LONGEST, Claims, of_answer


def claims(provenance: dict[str, Any], *, cold: bool | None = True) -> Claims:
    """The claims of an answer with this provenance."""
    return of_answer(Succeeded(response="", cold_start=cold, container="c", provenance=provenance))


@given(provenance=provenances, cold=st.none() | st.booleans())
def test_every_claim_can_be_counted_with(provenance: dict[str, Any], cold: bool | None) -> None:  # noqa: FBT001
    """Whatever an answer holds, each of its figures is unknown or a length of time that can be."""
    found = claims(provenance, cold=cold)
    for value in (found.boot, found.load, found.queue, found.generation, found.memory, found.start):
        assert value is None or 0 <= value <= 2 * LONGEST
    assert found.tokens is None or found.tokens >= 0
    assert found.gpu is None or 0 < len(found.gpu) <= 80


@given(provenance=provenances)
def test_a_warm_answer_waited_for_no_start(provenance: dict[str, Any]) -> None:
    """An answer from a container that was there has no boot and no load, whatever it says of them."""
    assert claims(provenance, cold=False).start == 0.0


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "3", True, None, [3], 10**400])
def test_what_cannot_be_is_unknown(value: Any) -> None:
    """A number that is none is unknown, and not nothing."""
    assert claims({"seconds": {"generation": value, "boot": value}}).generation is None
    assert claims({"seconds": {"generation": value, "boot": value}}).start is None


def test_the_original_field_stands_in() -> None:
    """`inference_time` is the generation where `seconds` does not have it, as in the original system."""
    assert claims({"inference_time": 3.5}).generation == 3.5
    assert claims({"inference_time": 3.5, "seconds": {"generation": 4.0}}).generation == 4.0
    assert claims({}).start is None
    assert claims({"seconds": {"load": 12}}).start == 12.0
